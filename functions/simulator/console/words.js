// The words for what Backstop did, said to somebody who has read nothing.

export const OUTCOMES = {
  PENDING: { label: "On its way", mark: "○", tone: "open" },
  DELIVERED_RCS: { label: "Delivered by RCS", mark: "✓", tone: "good" },
  DELIVERED_SMS: { label: "Delivered by SMS", mark: "✓", tone: "good" },
  DELIVERED_BOTH: { label: "Delivered twice", mark: "‼", tone: "doubt" },
  ACKNOWLEDGED: { label: "User has acted", mark: "✓", tone: "good" },
  UNCONFIRMED: { label: "Not certain", mark: "?", tone: "doubt" },
  FAILED: { label: "Failed", mark: "✕", tone: "bad" },
  CANCELLED: { label: "Cancelled", mark: "–", tone: "quiet" },
  SUPPRESSED: { label: "Stopped by opt-out", mark: "–", tone: "quiet" },
};

export const RULES = {
  accepted: "The message was accepted and a timer for its deadline is set.",
  waiting_for_receipt: "RBM has the message. Backstop waits for the phone to confirm it, until the deadline.",
  deadline_passed: "The deadline passed and the phone had not confirmed the message, so RBM is asked to withdraw it.",
  waiting_for_proof: "RBM was asked to withdraw the RCS message. The SMS waits until that is certain, so that nobody is told twice.",
  called_back: "RBM confirmed that it withdrew the RCS message, and so the SMS was sent.",
  rcs_cannot_arrive: "RBM refused the message for this phone, so nothing was gained by waiting: the SMS was sent at once.",
  revocation_asked: "Under PROMPT it is enough that the withdrawal was asked for: the SMS was sent at the deadline.",
  grace_over: "Nobody could say whether the RCS message arrived. The grace period ended without a confirmation, so the SMS was sent.",
  no_proof: "Under STRICT the SMS leaves only on proof that RCS cannot arrive. There was none, so it was not sent.",
  hedge: "Under HEDGE the SMS leaves at once, beside the RCS message.",
  hedge_deadline: "Under HEDGE the SMS had left already; at the deadline the RCS message is withdrawn where it still can be.",
  no_fallback: "The app wanted no SMS for this message, so it is withdrawn at its deadline and nothing more is sent.",
  delivered: "The phone confirmed the RCS message, so no SMS is needed.",
  cancelled: "The app cancelled the message before its SMS was claimed.",
  acknowledged: "The app said that the user has already acted, so nothing more is sent.",
  opted_out: "The recipient opted out, so nothing more is sent.",
};

export const STEPS = {
  begin: "Accepted from the app; a timer for the deadline is set",
  repeat: "The app asked again: the same message, nothing new is sent",
  cancel: "The app cancelled it",
  acknowledge: "The app says the user has acted",
  opt_out: "The recipient has opted out",
  deadline_passed: "The deadline passed",
  grace_over: "The grace period is over",
  answer_lost: "The provider's answer is given up as lost",
  receipt_overdue: "No receipt came in time: from here on it is doubt",
  "rcs.accepted": "RBM accepted it",
  "rcs.refused": "RBM refused it",
  "rcs.throttled": "RBM: too many requests, tried again later",
  "rcs.unanswered": "RBM did not answer, tried again with the same id",
  "rcs.revoked": "RBM: withdrawn on request",
  "rcs.revoke_failed": "RBM could not withdraw it",
  "rcs.revoke_unanswered": "The withdrawal is not answered for yet, and asked for again",
  "sms.claim": "One worker claims the right to send the SMS",
  "sms.queued": "The provider took the SMS",
  "sms.unanswered": "The provider's answer was lost: the SMS may have left",
  "sms.throttled": "The provider's queue is full: known not sent, tried again",
  "sms.refused": "The provider refused the SMS",
  "sms.released": "The claim is given back unsent",
  "backstop.rcs.delivered": "The phone has it",
  "backstop.rcs.read": "The user opened it",
  "backstop.rcs.expired": "Expired: RBM withdrew it by itself",
  "backstop.rcs.expiry_failed": "Expired: RBM cannot say whether it arrived",
  "backstop.rcs.typing": "The user is typing",
  "backstop.rcs.unsubscribed": "The user opted out in RCS",
  "backstop.rcs.subscribed": "The user opted in again in RCS",
  "backstop.rcs.text": "The user wrote in RCS",
  "backstop.rcs.file": "The user sent a file in RCS",
  "backstop.rcs.location": "The user shared a location",
  "backstop.rcs.suggestion": "The user tapped a suggestion",
  "backstop.rcs.launch": "An agent's launch state changed",
  "backstop.rcs.unknown": "RBM sent what this version does not know",
  "backstop.sms.received": "The user wrote by SMS",
  "backstop.sms.unknown": "The provider sent what this version does not know",
  "backstop.sms.sending": "On its way to the carrier",
  "backstop.sms.sent": "It left the provider",
  "backstop.sms.delivered": "The carrier delivered it",
  "backstop.sms.failed": "The carrier could not deliver it, or cannot say",
  "backstop.sms.due": "The SMS may leave now",
  "backstop.message.delivered": "Outcome: delivered by RCS",
  "backstop.message.fell_back": "Outcome: delivered by SMS",
  "backstop.message.delivered_twice": "Outcome: delivered twice",
  "backstop.message.acknowledged": "Outcome: the user has acted",
  "backstop.message.unconfirmed": "Outcome: cannot be known",
  "backstop.message.failed": "Outcome: failed",
  "backstop.message.cancelled": "Outcome: cancelled",
  "backstop.message.suppressed": "Outcome: stopped by an opt-out",
};

export const NEXT = {
  deadline_passed: "The deadline: if the phone has not confirmed it, RBM is asked to withdraw it",
  grace_over: "The grace period ends: the policy decides without proof",
  answer_lost: "The provider's answer is given up",
  receipt_overdue: "Without a receipt the outcome becomes “not certain”",
  create_again: "RBM is asked again, with the same id",
  revoke_again: "RBM is asked again to withdraw it",
  fall_back_again: "The SMS is tried again",
};

const STATES = {
  PENDING: "no word yet", ACCEPTED: "accepted", REVOKING: "being withdrawn", REVOKE_FAILED: "in doubt",
  REVOKED: "withdrawn", UNREACHABLE: "unreachable", REJECTED: "rejected", DELIVERED: "delivered", READ: "read",
  CLAIMED: "claimed", QUEUED: "queued", SENT: "sent", UNCONFIRMED: "in doubt", FAILED: "failed",
};
export const stateOf = (leg) => (leg ? STATES[leg.state] ?? leg.state : "not sent");

export const POLICIES = {
  "": "By kind of message",
  PROMPT: "PROMPT: at the deadline, even if RCS may still arrive",
  CONFIRMED: "CONFIRMED: once the withdrawal is certain, or after a grace period",
  STRICT: "STRICT: only on proof, never twice",
  HEDGE: "HEDGE: at once, beside RCS",
  NONE: "No SMS",
};

export const say = (type) => STEPS[type] ?? type;
export const numberOf = (name) => name.split("/")[1];
export const idOf = (name) => name.split("/").slice(3).join("/");

// +1 555 123 0001 is easier to tell apart than one long word.
export const pretty = (number) => number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "+1 $1 $2 $3");

export const time = (at) => (at ? at.slice(11, 19) : "");
export const precise = (at) => (at ? at.slice(11, 23).replace("Z", "") : "");
export const day = (at) => new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

// 4 s, 12 min, 2 h 15 min, 3 d
export const span = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 1) return seconds > 0.05 ? `${seconds.toFixed(1)} s` : "0 s";
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  if (whole < 172800) {
    const minutes = Math.round((whole % 3600) / 60);
    return `${Math.floor(whole / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  return `${Math.round(whole / 86400)} d`;
};
