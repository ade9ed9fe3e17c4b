import base64
import copy
import hashlib
import json
import pickle
import string
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.broker import BrokerAddress
from protocol.errors import InvitationError, ProblemCode
from protocol.invitation import (
    PREFIX,
    TEXT_MAX,
    Invitation,
    IssuedInvitation,
    Secret,
    check_proof,
    decode_invitation,
    encode_invitation,
    prove,
)
from protocol.messages import InvitationProof
from protocol.names import Fingerprint, InvitationId, OrganisationName, TransactionId

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SECRET = bytes(range(100, 132))
ISSUER, REQUESTER, OTHER = OrganisationName("client-c"), OrganisationName("client-b"), OrganisationName("client-d")
ROOT, OTHER_ROOT = Fingerprint.of(b"root"), Fingerprint.of(b"other root")
ID, OTHER_ID = InvitationId("1" * 32), InvitationId("2" * 32)
TRANSACTION = TransactionId("01900000-0000-7000-8000-000000000001")
OTHER_TRANSACTION = TransactionId("01900000-0000-7000-8000-000000000002")
INVITATION = Invitation(
    ISSUER, REQUESTER, ROOT, ID, Secret(SECRET), LATER, BrokerAddress("amqps://broker.example:5671")
)
TEXT = encode_invitation(INVITATION)
RECORD = IssuedInvitation(ID, REQUESTER, Secret(SECRET), LATER, None, None)
SPELLINGS = (SECRET, SECRET.hex(), base64.b64encode(SECRET).decode(), base64.urlsafe_b64encode(SECRET).decode())


def signed(content):
    """A text with the right prefix and checksum, whatever its content."""
    return f"{PREFIX}.{content}.{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def written(**changes):
    """The text of a valid invitation with other members."""
    content = TEXT.split(".")[1]
    members = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    members |= changes
    kept = {name: value for name, value in members.items() if value is not None}
    return signed(base64.urlsafe_b64encode(json.dumps(kept).encode()).decode().rstrip("="))


def refusal(call, *arguments, **named):
    """The one problem of a refusal, which shows neither the secret nor the text that holds it."""
    with pytest.raises(InvitationError) as caught:
        call(*arguments, **named)
    (problem,) = caught.value.problems
    shown = f"{caught.value!r} {problem}"
    assert not any(str(spelling) in shown for spelling in SPELLINGS)
    assert caught.value.__cause__ is None
    return problem


# --- the text


def test_an_invitation_survives_the_way_through_text():
    assert decode_invitation(TEXT) == INVITATION


@pytest.mark.parametrize("broker", ["amqp://b", "amqp://br", "amqps://[::1]:5671", "amqp://b-0.c.example:1"])
def test_content_of_any_length_survives(broker):
    invitation = replace(INVITATION, broker=BrokerAddress(broker))
    assert decode_invitation(encode_invitation(invitation)) == invitation
    assert "=" not in encode_invitation(invitation)


def test_the_text_is_one_word_that_survives_mail_programs():
    assert set(TEXT) <= {*string.ascii_letters, *string.digits, *"._-"}
    folded = "\r\n  ".join(TEXT[start : start + 60] for start in range(0, len(TEXT), 60))
    assert decode_invitation(f"\t{folded}\n") == INVITATION


@given(st.text(max_size=300))
def test_any_text_gives_an_invitation_or_the_one_error(text):
    refusal(decode_invitation, text)


@given(st.text(alphabet=st.characters(), max_size=100))
def test_content_with_a_right_checksum_gives_an_invitation_or_the_one_error(content):
    try:
        text = signed(content)
    except UnicodeEncodeError:
        text = f"{PREFIX}.{content}.00000000"
    refusal(decode_invitation, text)


@given(st.binary(max_size=200))
def test_any_bytes_as_content_give_an_invitation_or_the_one_error(content):
    refusal(decode_invitation, signed(base64.urlsafe_b64encode(content).decode()))


@given(st.integers(0, len(TEXT) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_."))
def test_a_character_that_was_copied_wrongly_is_noticed(place, character):
    changed = TEXT[:place] + character + TEXT[place + 1 :]
    if changed == TEXT:
        assert decode_invitation(changed) == INVITATION
    else:
        refusal(decode_invitation, changed)


@given(st.integers(1, len(TEXT) - 1))
def test_a_text_that_was_cut_is_noticed_and_called_so(length):
    assert refusal(decode_invitation, TEXT[:length]).got == "an invitation that is cut off: its end is missing"


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "nothing"),
        ("hello", "some other text"),
        (TEXT[1:], "some other text"),
        (f"{TEXT}0", "an invitation that was changed: its checksum is wrong"),
        (f"{TEXT}.more", "an invitation that was changed: its checksum is wrong"),
        (TEXT.replace("l", "1"), "some other text"),
    ],
)
def test_what_is_wrong_with_a_text_is_named(text, got):
    assert refusal(decode_invitation, text).got == got


@pytest.mark.parametrize(
    "text", [signed("\u00e9"), f"{PREFIX}.\udce9.00000000", f"{PREFIX}.a.\udce9", TEXT.replace("a", "\u0430")]
)
def test_text_beyond_ascii_is_refused(text):
    assert refusal(decode_invitation, text).got == "characters beyond ASCII"


def test_a_text_that_is_too_long_is_refused_before_it_is_read():
    assert refusal(decode_invitation, TEXT + " " * TEXT_MAX).got == f"{len(TEXT) + TEXT_MAX} characters"
    assert decode_invitation(TEXT.ljust(TEXT_MAX)) == INVITATION


@pytest.mark.parametrize("stray", ["*", "=", "+"])
def test_stray_characters_are_refused_also_under_a_right_checksum(stray):
    content = TEXT.split(".")[1]
    for count in (1, 4):  # four leave the padding as it was
        refusal(decode_invitation, signed(content[:8] + stray * count + content[8:]))


def test_another_version_is_named_in_the_refusal():
    problem = refusal(decode_invitation, TEXT.replace(PREFIX, "apostille2"))
    assert problem.code is ProblemCode.BAD_DATA_FORMAT
    assert f"beginning with '{PREFIX}.'" in problem.allowed
    assert "Copy the invitation again" in problem.fix


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "Client C"},
        {"requester": ""},
        {"root": "00"},
        {"id": "zz"},
        {"secret": base64.b64encode(SECRET[:31]).decode()},
        {"secret": base64.b64encode(SECRET + b"1").decode()},
        {"secret": "not base64!"},
        {"secret": None},
        {"expires_at": "2026-03-01T12:00:00"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"expires_at": "soon"},
        {"broker": "amqps://user:word@broker.example"},
        {"broker": "http://broker.example"},
        {"broker": "amqp://broker.example/enroll.client-c"},
        {"broker": "amqp://broker.example:99999"},
        {"broker": "amqp://[broker.example"},
        {"broker": 5672},
        {"more": 1},
    ],
    ids=str,
)
def test_content_of_another_form_is_refused(changes):
    assert refusal(decode_invitation, written(**changes)).got == "content of another form"


def test_times_are_read_as_utc():
    assert decode_invitation(written(expires_at="2026-03-01T14:00:00+01:00")).expires_at == LATER


# --- the secret


def test_a_secret_shows_itself_nowhere():
    secret = Secret(SECRET)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{INVITATION}", repr(RECORD)]
    assert not any(str(spelling) in text for spelling in SPELLINGS for text in shown)
    assert secret.reveal() == SECRET


@pytest.mark.parametrize(
    "leak",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        bytes,
        hash,
        vars,
        list,
        len,
        lambda secret: format(secret, "s"),
        lambda secret: json.dumps(asdict(replace(INVITATION, secret=secret))),
        lambda secret: pickle.dumps(replace(INVITATION, secret=secret)),
    ],
)
def test_a_secret_cannot_be_copied_out_by_accident(leak):
    with pytest.raises((TypeError, ValueError)) as caught:
        leak(Secret(SECRET))
    assert not any(str(spelling) in str(caught.value) for spelling in SPELLINGS)


def test_secrets_are_equal_by_content_and_to_nothing_else():
    assert Secret(SECRET) == Secret(bytes(SECRET))
    assert Secret(SECRET) != Secret(SECRET[::-1])
    assert Secret(SECRET) != SECRET


# --- the proof: both peers


def check(proof, record=RECORD, **changes):
    arguments = {"issuer": ISSUER, "requester": REQUESTER, "root": ROOT, "transaction": TRANSACTION, "now": NOW}
    check_proof(proof, record, **(arguments | changes))


def test_the_holder_of_an_invitation_proves_it():
    proof = prove(INVITATION, ROOT, TRANSACTION)
    assert proof.id == ID
    check(proof)


def test_the_proof_is_always_the_same_32_bytes():
    """A vector: the other organisation may run another release of the program."""
    assert prove(INVITATION, ROOT, TRANSACTION).proof.hex() == (
        "01b5369dbccb85c7142a93d086107b95984c32c4df09384260e365017f811754"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": OTHER},
        {"requester": OTHER},
        {"requester": OTHER, "record": replace(RECORD, requester=OTHER)},
        {"root": OTHER_ROOT},
        {"transaction": OTHER_TRANSACTION},
        {"record": replace(RECORD, secret=Secret(bytes(32)))},
        {"record": None},
        {"record": replace(RECORD, requester=OTHER)},
    ],
    ids=str,
)
def test_a_proof_binds_every_part(changes):
    problem = refusal(check, prove(INVITATION, ROOT, TRANSACTION), **changes)
    assert (problem.code, problem.got) == (ProblemCode.BAD_MESSAGE_CHECK, "a proof that does not fit")


def test_a_proof_binds_the_invitation_that_it_names():
    proof = prove(INVITATION, ROOT, TRANSACTION)
    refusal(check, InvitationProof(id=OTHER_ID, proof=proof.proof), replace(RECORD, id=OTHER_ID))


@given(st.binary(min_size=32, max_size=32))
def test_nothing_else_is_a_proof(guess):
    refusal(check, InvitationProof(id=ID, proof=guess))


def test_an_unknown_invitation_has_no_proof_not_even_that_of_an_empty_secret():
    empty = replace(INVITATION, secret=Secret(bytes(32)))
    refusal(check, prove(empty, ROOT, TRANSACTION), None)


def test_parts_cannot_be_shifted_into_each_other():
    """`ab` + `c` and `a` + `bc` are different organisations."""
    one = replace(INVITATION, issuer=OrganisationName("ab"), requester=OrganisationName("c"))
    other = replace(INVITATION, issuer=OrganisationName("a"), requester=OrganisationName("bc"))
    assert prove(one, ROOT, TRANSACTION) != prove(other, ROOT, TRANSACTION)


def test_an_invitation_is_good_until_it_expires():
    proof = prove(INVITATION, ROOT, TRANSACTION)
    check(proof, now=LATER - timedelta(microseconds=1))
    problem = refusal(check, proof, now=LATER)
    assert problem.code is ProblemCode.BAD_TIME
    assert problem.got == "an invitation that expired at 2026-03-01T13:00:00Z; it is 2026-03-01T13:00:00Z here"
    assert "agent invite" in problem.fix


def test_an_invitation_that_was_used_is_refused_and_the_refusal_says_by_which_transaction():
    problem = refusal(check, prove(INVITATION, ROOT, TRANSACTION), replace(RECORD, consumed_by=OTHER_TRANSACTION))
    assert (problem.code, OTHER_TRANSACTION in problem.got) == (ProblemCode.NOT_AUTHORIZED, True)


def test_the_transaction_that_used_an_invitation_keeps_its_right_after_the_expiry():
    check(prove(INVITATION, ROOT, TRANSACTION), replace(RECORD, consumed_by=TRANSACTION), now=LATER + timedelta(days=1))


def test_only_the_holder_of_the_secret_learns_why_an_invitation_is_no_good():
    spent = replace(RECORD, consumed_by=OTHER_TRANSACTION)
    guess = InvitationProof(id=ID, proof=bytes(32))
    assert refusal(check, guess, spent, now=LATER) == refusal(check, guess, None)


def test_a_withdrawn_invitation_is_refused_and_its_holder_learns_that_there_is_a_newer_one():
    withdrawn = replace(RECORD, withdrawn_at=NOW)
    problem = refusal(check, prove(INVITATION, ROOT, TRANSACTION), withdrawn, now=LATER)
    assert problem.code is ProblemCode.NOT_AUTHORIZED
    assert problem.got == "an invitation that its issuer withdrew at 2026-03-01T12:00:00Z, when it made a newer one"
    assert problem.fix.startswith(f"Use the newest invitation for {REQUESTER}.")
    assert "agent invite" in problem.fix
