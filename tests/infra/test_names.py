"""Names that somebody relies on: they are never drawn, and never end otherwise."""

from terraform import Checked

NAMES = ("name", "account_id", "secret_id", "repository_id", "service_id")

FOREIGN = {
    "google_project_service",
    "google_firestore_field",
    "google_firestore_index",
    "google_storage_bucket",
}
"""Named by Google, or by the code, or (a bucket) for the whole world."""


def test_names_are_ours_and_never_drawn(checked: Checked) -> None:
    for address, kind, values in checked.runs["everything"].planned():
        assert kind.startswith("google_"), address
        names = [values[name] for name in NAMES if values.get(name)]
        assert kind in FOREIGN or all(name.startswith("backstop") for name in names)


def test_each_subscription_has_its_dead_letters(checked: Checked) -> None:
    planned = list(checked.runs["everything"].planned())
    topics = {v["name"] for _, kind, v in planned if kind == "google_pubsub_topic"}
    subscriptions = {
        values["name"]: values
        for _, kind, values in planned
        if kind == "google_pubsub_subscription"
    }
    graves = {name for name in subscriptions if name.endswith("-dead-letter")}
    pushes = subscriptions.keys() - graves

    assert pushes == {f"backstop-{n}" for n in ("fallback", "record", "crm", "archive")}
    assert all(subscriptions[push]["dead_letter_policy"] for push in pushes)
    assert graves == {f"{push}-dead-letter" for push in pushes}
    assert topics == graves | {"backstop-events"}


def test_what_holds_state_is_protected(checked: Checked) -> None:
    holders = {
        "google_firestore_database",
        "google_cloud_tasks_queue",
        "google_pubsub_topic",
        "google_pubsub_subscription",
    }
    planned = [v for _, k, v in checked.runs["the_example"].planned() if k in holders]

    assert {"PREVENT"} == {values["deletion_policy"] for values in planned}
