"""Every order of events in the renewal of a key pair, and what the walk would notice."""

import pytest
import renew_model
from uward.link import renewal


@pytest.mark.parametrize("refused", [(), (1,), (1, 2), (2,)])
def test_whatever_is_lost_cut_or_refused_the_device_is_believed(refused):
    """refused: new keys, as they come, whose certificates the broker does not take."""
    states, transitions, cuts = renew_model.explore(refused)
    assert states > 100 and transitions > 1000 and cuts > 500


def test_the_walk_notices_a_pair_that_is_taken_before_it_was_proved(monkeypatch):
    judge = renewal._judge
    monkeypatch.setattr(renewal, "_judge", lambda agent, shown: judge(agent, True))
    with pytest.raises(renew_model.Broken, match="no pair is believed"):
        renew_model.explore((1,))


def test_the_walk_notices_a_host_that_forgets_the_old_key_too_early(monkeypatch):
    def asked(self, by, key):
        certified = kept(self, by, key)
        self.heard(key)  # as if the request alone proved that the device took it over
        return certified

    kept = renew_model.Host.asked
    monkeypatch.setattr(renew_model.Host, "asked", asked)
    with pytest.raises(renew_model.Broken, match=r"no pair is believed|does not know"):
        renew_model.explore()


def test_the_walk_notices_an_old_pair_that_goes_before_the_new_one_is_in_its_place(monkeypatch):
    def careless(agent, shown):
        new = renewal._pending()
        renewal.os.remove("/id/renew")
        if shown:
            held = renewal.own()
            held[2] = new[2]
            renewal.sealed.write(b"", "/id/dev", renewal.cbor.encode(held))
            held[4] = new[4]
            renewal.sealed.write(b"", "/id/dev", renewal.cbor.encode(held))

    monkeypatch.setattr(renewal, "_judge", careless)
    with pytest.raises(renew_model.Broken, match="a certificate of another key"):
        renew_model.explore()
