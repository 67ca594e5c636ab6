"""What guardrails have done, as a sidecar tells it, and what clients of drills need to know of them."""

from children import wait_until

SHADOW = {"type": "shadow_traffic"}
DOWN = {"window_s": 2, "new_side_down_s": 1}  # the first to say so is that new is down


def wait_for(sidecar, status):
    wait_until(lambda: sidecar.must("GET", "/migrations/m")["status"] == status, 40, status)


def reasons(sidecar):
    """What guardrails have said in the journal."""
    return [event["reason"] for event in sidecar.must("GET", "/migrations/m/events")
            if event["actor"] == "guardrail"]


def told(sidecar, words):
    return any(words in reason for reason in reasons(sidecar))


def actions(sidecar, action, cause):
    return sidecar.metric("crossfade_guardrail_actions_total", action=action, cause=cause)
