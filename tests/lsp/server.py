"""A language server for tests: each line with the word `wrong` is an error, each with `odd` a warning.

So is one that says `use` of something that no file begins a line of with `def`.

Its first argument is how it behaves, beyond that: `push` sends what it finds, `pull` waits to be asked, `mute` never answers,
`spare` sends what it finds only where something is or was wrong, and not of which text.
A text with `crash` ends it, one with `hang` stops it from answering for good. Its process id is in `server.pid` of its folder.
"""

import json
import os
import signal
import sys
import time

how = sys.argv[1]
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("server.pid", "w") as file:
    file.write(str(os.getpid()))


def read():
    length = 0
    while (line := sys.stdin.buffer.readline()) != b"\r\n":
        if not line:
            sys.exit()
        name, value = line.decode().split(": ")
        if name == "Content-Length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length))


def write(**message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    sys.stdout.buffer.flush()


def is_missing(line):
    defined = [line for text in texts.values() for line in text.splitlines()]
    return line.startswith("use ") and "def " + line[4:] not in defined


def find(text):
    for number, line in enumerate(text.splitlines()):
        for severity, word in [(1, "wrong"), (2, "odd"), (1, "missing")]:
            if word in line or word == "missing" and is_missing(line):
                where = {"line": number, "character": 0}
                found = {"range": {"start": where, "end": where}, "severity": severity}
                yield {**found, "message": f"this is {word}\n  and more", "code": None, "tags": [9]}


texts, sent = {}, set()
if how == "mute":
    time.sleep(1000)
while True:
    message = read()
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        provider = {"diagnosticProvider": {"interFileDependencies": False, "workspaceDiagnostics": False}}
        write(id=message["id"], result={"capabilities": provider if how == "pull" else {}})
        write(id="a", method="workspace/configuration", params={"items": [{"section": "x.y"}]})
        write(id="b", method="client/registerCapability", params={"registrations": []})
        write(method="window/logMessage", params={"type": 3, "message": "hello"})
    elif method in ("textDocument/didOpen", "textDocument/didChange"):
        document = params["textDocument"]
        text = document.get("text") or "".join(change["text"] for change in params.get("contentChanges", []))
        texts[document["uri"]] = text
        if "crash" in text:
            sys.exit(1)
        if "hang" in text:
            time.sleep(1000)
        if how == "push":
            answer = {"uri": document["uri"], "version": document["version"], "diagnostics": list(find(text))}
            write(method="textDocument/publishDiagnostics", params=answer)
        found = list(find(text))
        if how == "spare" and (found or document["uri"] in sent):
            (sent.add if found else sent.discard)(document["uri"])
            write(method="textDocument/publishDiagnostics", params={"uri": document["uri"], "diagnostics": found})
    elif method == "textDocument/didClose":
        del texts[params["textDocument"]["uri"]]
    elif method == "textDocument/diagnostic":
        items = list(find(texts[params["textDocument"]["uri"]]))
        write(id=message["id"], result={"kind": "full", "items": items})
    elif method == "shutdown":
        write(id=message["id"], result=None)
    elif method == "exit":
        sys.exit(0)
