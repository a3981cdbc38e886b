"""The server that chapter 05 starts: it says why when it cannot, and its times are of requests."""

import pytest

from gpt2news.run import companion

server = companion("server", "05_deploy")
TEXTS = [
    "The striker scored twice.",
    "Shares fell sharply after the bank cut its forecast for the year.",
]


def test_a_server_that_does_not_start_says_why(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"did not start: .*no serving\.json"),
        server.running_server(tmp_path),
    ):
        pass


def test_times_are_of_as_many_requests_as_asked(exported):
    with server.running_server(exported) as address:
        one = server.time_requests(address, ["The bank cut its forecast."])
        many = server.time_requests(address, [*TEXTS] * 10)
    assert one["p50_ms"] == one["p95_ms"] > 0
    assert 0 < many["p50_ms"] <= many["p95_ms"]
