"""The security check-up over HTTP."""

from __future__ import annotations

from tests.gateways.http.house import OTHER_PAN, PAN, World


def test_a_check_up_finds_gaps_and_its_fixes_can_be_sent_as_they_stand(world: World) -> None:
    """Every fix is a call; after all of them the score is higher."""
    holder = world.cardholder()
    card = world.card(PAN, cardholder=holder, has_chip=False)
    world.card(OTHER_PAN, cardholder=holder)
    world.decision(card)
    body = {"cardholder": holder, "mode": "full"}
    first = world.issuer.post("/v1/security_checkups", body)
    assert first.status_code == 201
    report = first.json()
    assert report["object"] == "security_checkup"
    assert 0 <= report["score"] < 100
    assert report["grade"] in ("excellent", "good", "fair", "poor")
    assert report["next_step"] in report["findings"]
    assert report["rules_version"]
    for finding in report["findings"]:
        assert set(finding["message"]) == {"zh", "en"}
    fixes = [f["fix"] for f in report["findings"] if f["fix"] is not None]
    assert fixes
    done = set()
    for fix in fixes:
        if fix["path"] not in done:
            answer = world.issuer.call(
                fix["method"],
                fix["path"],
                fix["body"],
                **{name.replace("-", "_"): value for name, value in fix["headers"].items()},
            )
            assert answer.status_code == 200, answer.text
            done.add(fix["path"])
    second = world.issuer.post("/v1/security_checkups", body).json()
    assert second["score"] > report["score"]


def test_the_same_data_give_the_same_report(world: World) -> None:
    """But for its id, a report says the same twice."""
    holder = world.cardholder()
    world.card(cardholder=holder)
    body = {"cardholder": holder, "mode": "quick"}
    first, second = (world.issuer.post("/v1/security_checkups", body).json() for _ in range(2))
    assert first.pop("id") != second.pop("id")
    assert first == second


def test_a_report_is_kept_as_it_was_given(world: World) -> None:
    """Read and listed, newest first; by its person too."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    body = {"cardholder": holder}
    old = world.issuer.post("/v1/security_checkups", body).json()
    world.issuer.set(card, "night_lock")
    new = world.issuer.post("/v1/security_checkups", body).json()
    own = world.client("cardholder", holder)
    assert own.get(f"/v1/security_checkups/{old['id']}").json() == old
    assert own.get("/v1/security_checkups").json()["data"] == [new, old]
    listed = world.issuer.get(f"/v1/security_checkups?cardholder={holder}&limit=1").json()
    assert (listed["data"], listed["has_more"]) == ([new], True)
    other = world.client("cardholder", world.cardholder())
    assert other.get(f"/v1/security_checkups/{old['id']}").json()["code"] == "checkup_not_found"
    assert other.get("/v1/security_checkups").json()["data"] == []


def test_the_app_may_tell_of_the_device(world: World) -> None:
    """A rooted phone costs points; only a full check-up asks."""
    holder = world.cardholder()
    world.card(cardholder=holder)
    body = {"cardholder": holder, "mode": "full", "device": {"is_rooted": True}}
    report = world.issuer.post("/v1/security_checkups", body).json()
    assert "unsafe_device" in [finding["id"] for finding in report["findings"]]


def test_an_unknown_person_is_not_checked(world: World) -> None:
    """404, and nothing is kept."""
    answer = world.issuer.post("/v1/security_checkups", {"cardholder": "holder_x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "cardholder_not_found")
    assert world.issuer.get("/v1/security_checkups").json()["data"] == []
