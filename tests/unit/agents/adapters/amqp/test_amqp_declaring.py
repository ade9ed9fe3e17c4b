"""A URL from the environment that is none."""

import pytest

from agents.adapters.amqp.once import declare
from agents.errors import ConfigurationError
from protocol.names import OrganisationName

ISSUER, REQUESTER = OrganisationName("client-c"), OrganisationName("client-b")


@pytest.mark.parametrize("url", ["client:canary@broker", "ftp://u:canary@broker", "amqp://u:canary@broker:port/"])
def test_what_is_no_url_of_a_broker_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigurationError, match="no usable URL") as caught:
        declare(url, ISSUER, [REQUESTER])
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__
