"""Quiet about people: nothing of them is in the log (promise 10)."""

from stories.world import World

WORDS = "Your code is 481516"
REPLY = "Tell my sister 2342"
METADATA = "customer-108-private"
PHONES = ("+15551239876", "+15551239877", "+15550199011", "+15550199022")


def test_the_log_tells_decisions_and_nobodys_business(world: World):
    """No text, no whole number and no secret in any line, failures included."""
    world.phone(PHONES[1], online=False)
    for phone in PHONES:
        sent = world.send(phone, WORDS, metadata={"who": METADATA}, policy="PROMPT")
        world.call("POST", f"/v1/{sent['name']}:acknowledge?agentId=nobody")
        world.call("POST", f"/v1/phones/{phone}/agentMessages", {"text": WORDS})
    world.says(PHONES[0], text=REPLY)
    world.says(PHONES[1], text=REPLY, channel="SMS")
    world.call("POST", "/webhook", {"clientToken": "wrong-token-123", "secret": "s"})
    world.pass_grace()

    log = world.log.read_text()
    assert '"message":"step"' in log
    assert '"message":"webhook_refused"' in log
    secrets = ("local-client-token", "local-client-secret", "wrong-token-123")
    for word in (WORDS, REPLY, METADATA, *PHONES, *secrets):
        assert word not in log
        assert word.lstrip("+") not in log
