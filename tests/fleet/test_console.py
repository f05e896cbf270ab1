"""What the console changes is changed for all hosts, or not at all."""

from __future__ import annotations

import http.client
import json
import time

from airoxy.store.console.api_tokens import add_api_token
from airoxy.store.console.users import ADMIN
from airoxy.store.keys import list_keys
from tests.fleet.conftest import eventually
from tests.fleet.test_sharing import settled
from tests.ports import free_port


def test_a_key_made_in_the_console_is_in_the_fleet_and_without_postgresql_it_is_not_made(
    hosts, cluster
):
    port = free_port()
    a, b = hosts(2, console={"listen": [f"127.0.0.1:{port}"]})
    settled((a, b))
    with a.airoxy.opened() as db:
        secret = add_api_token(db, "program", ADMIN, int(time.time()) + 600, time.time())[1]
    process = a.airoxy.begin("console")

    def make(name):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"authorization": f"Bearer {secret}"}
        try:
            connection.request("POST", "/api/keys", json.dumps({"name": name}), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except ConnectionRefusedError:  # it is still starting
            return None
        finally:
            connection.close()

    def names(host):
        with host.airoxy.opened() as db:
            return [key["name"] for key in list_keys(db)]

    try:
        assert eventually(lambda: make("shared"))[0] == 201
        eventually(lambda: names(b) == ["shared"])
        cluster.stop()
        try:
            status, problem = make("alone")
        finally:
            cluster.start()
        assert status == 503
        assert problem["detail"].startswith("Nothing has been changed")
        assert names(a) == ["shared"]
    finally:
        process.terminate()
        process.wait(60)
