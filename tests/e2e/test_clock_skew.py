"""A clock that is ten minutes off: both operators read by how much, and nothing is lost."""

from datetime import timedelta

TEN_MINUTES, ONE_DAY = timedelta(minutes=10), timedelta(days=1)


def test_a_requester_ahead_reads_by_how_much_and_enrolls_once_its_clock_is_right(scene):
    scene.issuer.start()
    invitation = scene.invitation()
    asked = ["--invitation", invitation, "--dns", scene.name()]
    refused = scene.requester.run("enroll", *asked, clock_off=TEN_MINUTES).expect(1)
    refused.says("issued_at", "s in the future", "clocks that differ by", "compare both with a time server")
    assert is_named_about(TEN_MINUTES, refused.out)
    assert scene.requester.enroll(*asked).expect(0).json["state"] == "verified"


def test_a_requester_behind_reads_by_how_much_and_the_same_enrollment_completes_once_its_clock_is_right(scene):
    issuer = scene.known(scene.issuer.name, scene.directory / "made-yesterday")
    endpoint = ["--endpoint", f"localhost:{scene.port}"]
    made = issuer.run("init", "--name", issuer.name, *endpoint, *scene.login_options(issuer.name), clock_off=-ONE_DAY)
    made.expect(0)
    issuer.start()
    asked = ["--invitation", scene.invitation(issuer=issuer), "--dns", scene.name()]
    said = ["s in the future", "compare both with a time server", "nothing is lost"]
    late = scene.requester.enroll_in_vain(*asked, code=4, words=said, clock_off=-TEN_MINUTES)
    assert is_named_about(TEN_MINUTES, late.err)

    (waiting,) = scene.requester.transactions()
    scene.requester.start()
    scene.requester.reaches(waiting["id"], "verified")
    assert len(issuer.transactions()) == 1


def is_named_about(difference, text):
    """Whether the difference is named, less the time that the message took, however busy the machine is."""
    words = text.split()
    named = timedelta(seconds=int(words[words.index("future") - 4]))
    return difference / 2 < named <= difference + timedelta(seconds=1)


def test_an_issuer_that_was_made_in_the_requesters_future_is_not_believed_and_the_difference_is_said(scene):
    scene.issuer.start()
    asked = ["--invitation", scene.invitation(), "--dns", scene.name()]
    said = ["certificate: got valid from", "which is in 23:5", "Compare the clocks of both machines"]
    scene.requester.enroll_in_vain(*asked, code=4, words=said, clock_off=-ONE_DAY)
