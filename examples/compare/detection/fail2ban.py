# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""Plays a recording to the server code of fail2ban, with the jail of its configuration.

Arguments: the configuration directory, the jail, the log file, the recording. The clock of fail2ban is
set to each attempt, so this program does the work of its threads in turns: it reads the log file when
it has a new line, then bans and unbans what is due. Banned addresses write no line.
"""

import json
import logging
import sys

from fail2ban.client.configurator import Configurator
from fail2ban.server.action import ActionBase
from fail2ban.server.mytime import MyTime
from fail2ban.server.server import Server


class Record(ActionBase):
    """The jail's action in place of iptables."""

    banned = {}

    def ban(self, info):
        ip = str(info["ip"])
        Record.banned[ip] = True
        print(json.dumps({"block": ip, "at": MyTime.time()}))

    def unban(self, info):
        Record.banned.pop(str(info["ip"]), None)


def main(base, name, path, recording):
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    conf = Configurator()
    conf.setBaseDir(base)
    conf.readEarly()
    conf.readAll()
    conf.getOptions()
    conf.convertToProtocol()

    MyTime.setTime(1)
    server = Server()
    for command in conf.getConfigStream():
        if command[0] != "start" and name in command[1:3]:
            code, answer = server._Server__transm.proceed(command)
            if code:
                raise SystemExit("fail2ban refused %r: %r" % (command, answer))
    jail = server._Server__jails[name]
    jail.actions._actions.clear()
    jail.actions._actions["record"] = Record(jail, "record")
    found, actions = jail.filter, jail.actions
    found.active = True  # its thread is not started
    print("fail2ban: maxretry %d, findtime %d s, bantime %d s" % (
        found.getMaxRetry(), found.getFindTime(), actions.getBanTime()), file=sys.stderr)

    with open(recording) as attempts, open(path, "a") as log:
        for line in attempts:
            a = json.loads(line)
            MyTime.setTime(a["t"])
            actions._Actions__checkUnBan(actions.unbanMaxCount)
            if a["ip"] in Record.banned:
                print(json.dumps({"refused": a["i"]}))
                continue
            if not a["error"]:
                continue
            log.write(a["error"] + "\n")
            log.flush()
            found.getFailures(path, inOperation=True)
            actions._Actions__checkBan()
    print("fail2ban: %d failures found, %d bans" % (
        found.failManager.getFailTotal(), actions.banManager.getBanTotal()), file=sys.stderr)


main(*sys.argv[1:])
