"""Every grant of every identity, against the design's table (section 4)."""

import re

import pytest
from terraform import Checked, Run

TARGETS = (
    "service_account_id",
    "secret_id",
    "topic",
    "subscription",
    "bucket",
    "repository",
    "name",
    "project",
)
"""What a grant is on, the narrowest first."""

DATABASE = "datastore.user on my-backstop if database backstop"

KEEPER = {
    DATABASE,
    "pubsub.publisher on backstop-events",
    "cloudtasks.enqueuer on backstop-watch",
    "cloudtasks.viewer on backstop-watch",
    "cloudtasks.taskDeleter on backstop-watch",
    "iam.serviceAccountUser on backstop-watch",
}
"""Keeps messages, publishes, and arms timers, which takes acting as their caller.

It also spares them, wherever a message ends.
"""

BURIES = {
    "fallback": {
        "pubsub.publisher on backstop-fallback-dead-letter",
        "pubsub.subscriber on backstop-fallback",
    },
    "record": {
        "pubsub.publisher on backstop-record-dead-letter",
        "pubsub.subscriber on backstop-record",
    },
    "crm": {
        "pubsub.publisher on backstop-crm-dead-letter",
        "pubsub.subscriber on backstop-crm",
    },
    "archive": {
        "pubsub.publisher on backstop-archive-dead-letter",
        "pubsub.subscriber on backstop-archive",
    },
}

EXAMPLE = {
    "backstop-send": KEEPER | {"secretmanager.secretAccessor on backstop-rbm-key"},
    "backstop-webhook": {
        "pubsub.publisher on backstop-events",
        "secretmanager.secretAccessor on backstop-rbm-client-tokens",
    },
    "backstop-sms-webhook": {
        "pubsub.publisher on backstop-events",
        "secretmanager.secretAccessor on backstop-bandwidth-callbacks",
    },
    "backstop-revoke": KEEPER | {"secretmanager.secretAccessor on backstop-rbm-key"},
    "backstop-fallback": KEEPER
    | {"secretmanager.secretAccessor on backstop-bandwidth-secret"},
    "backstop-record": KEEPER,
    "backstop-watch": {"run.invoker on backstop-revoke"},
    "backstop-push-fallback": {"run.invoker on backstop-fallback"},
    "backstop-push-record": {"run.invoker on backstop-record"},
    "backstop-builder": {
        "artifactregistry.writer on backstop",
        "logging.logWriter on my-backstop",
        "storage.objectViewer on my-backstop if gcf-v2-sources-123456789012-",
    },
    "shop@my-shop": {"run.invoker on backstop-send"},
    "allUsers": {
        "run.invoker on backstop-webhook",
        "run.invoker on backstop-sms-webhook",
    },
    "Pub/Sub": BURIES["fallback"] | BURIES["record"],
}

DEPLOYER = {
    # What it changes.
    "cloudfunctions.developer on my-backstop",
    "cloudtasks.queueAdmin on my-backstop",
    "datastore.indexAdmin on my-backstop",
    "logging.configWriter on my-backstop",
    "monitoring.editor on my-backstop",
    "pubsub.editor on my-backstop",
    "storage.objectAdmin on my-backstop-backstop-source",
    "storage.objectAdmin on my-backstop-terraform",
    # What it looks at.
    "artifactregistry.reader on my-backstop",
    "browser on my-backstop",
    "cloudbuild.builds.viewer on my-backstop",
    "iam.securityReviewer on my-backstop",
    "iam.serviceAccountViewer on my-backstop",
    "secretmanager.viewer on my-backstop",
    "serviceusage.serviceUsageViewer on my-backstop",
    "storage.legacyBucketReader on my-backstop-backstop-source",
    # How it tells, and tries.
    "logging.logWriter on my-backstop",
    "run.invoker on backstop-send",
    "secretmanager.secretAccessor on backstop-rbm-client-tokens",
    "iam.serviceAccountOpenIdTokenCreator on backstop-deployer",
} | {
    f"iam.serviceAccountUser on backstop-{account}"
    for account in (
        *("send", "webhook", "sms-webhook", "revoke", "fallback", "record"),
        *("push-fallback", "push-record", "push-crm", "push-archive", "builder"),
    )
}

EVERYTHING = EXAMPLE | {
    "backstop-deployer": DEPLOYER,
    "group:crm@example.com": {"run.invoker on backstop-send"},
    "Pub/Sub": set().union(*BURIES.values()),
}


def granted(run: Run) -> set[str]:
    return {
        f"{short(values['member'])}: {told(values)}"
        for _address, kind, values in run.planned()
        if kind.endswith("_iam_member")
    }


def told(values: dict) -> str:
    target = next(values[name] for name in TARGETS if values.get(name))
    role = values["role"].removeprefix("roles/")
    condition = ""
    for narrowed in values.get("condition") or ():
        expression = narrowed["expression"]
        database = re.fullmatch(r'resource.name == ".*/databases/(.*)"', expression)
        bucket = re.fullmatch(
            r'resource.name.startsWith\("projects/_/buckets/(.*)"\)', expression
        )
        condition = f" if database {database[1]}" if database else f" if {bucket[1]}"
    return f"{role} on {short(target.rsplit('/', 1)[-1])}{condition}"


def short(identity: str) -> str:
    if identity.endswith("@gcp-sa-pubsub.iam.gserviceaccount.com"):
        return "Pub/Sub"
    account = identity.removeprefix("serviceAccount:")
    account = account.removesuffix(".iam.gserviceaccount.com")
    return account.removesuffix("@my-backstop")


@pytest.mark.parametrize(
    ("name", "expected"), [("the_example", EXAMPLE), ("everything", EVERYTHING)]
)
def test_nobody_may_more_or_less_than_the_design_says(
    checked: Checked, name: str, expected: dict[str, set[str]]
) -> None:
    designed = {f"{who}: {what}" for who, all_of in expected.items() for what in all_of}

    assert designed == granted(checked.runs[name])


def test_grants_are_additions_one_by_one(checked: Checked) -> None:
    """A binding or a policy would silently take away what others were given."""
    kinds = {kind for _address, kind, _values in checked.runs["everything"].planned()}

    assert not [
        kind
        for kind in kinds
        if kind.endswith(("_iam_binding", "_iam_policy", "_acl", "_access_control"))
    ]
