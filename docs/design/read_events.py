"""Prints the events in the messages of a stream, a line of JSON for each event and receipt.

Takes a line of JSON for each message: seq, subject, and headers and data in base64.
"""
import base64, json, re, sys

def untoken(token):  # "=HH" stands for one byte of UTF-8
    return re.sub(b"=(..)", lambda it: bytes.fromhex(it[1].decode()), token.encode()).decode()

def body_of(data):  # JSON, or the bytes of a codec
    try:
        return json.loads(data)
    except ValueError:
        return base64.b64encode(data).decode()

def lines_of(message):
    _, _, kind, *rest = message["subject"].split(".")
    if kind != "event":
        return
    block = base64.b64decode(message["headers"]).decode().split("\r\n")[1:]
    header = {name: value.strip() for name, _, value in (line.partition(":") for line in block)}
    values = lambda name: header.get(f"Aether-{name}", "").split()
    data, ids, op = base64.b64decode(message["data"]), values("Id"), header["Aether-Op"]
    last = int(header["Aether-Version"])
    counts = [int(count) for count in values("Count")]
    first = int(header.get("Aether-Index", 0))
    commits = [(0, op, first + at, counts[0]) for at in range(max(len(ids), 1))]
    if len(counts) > 1:  # several whole saves
        commits = [(k, f"{op}.{k}", at, n) for k, n in enumerate(counts) for at in range(n)]
    commands = [None if it == "=" else untoken(it) for it in values("Command") or ["="] * len(counts)]
    versions = values("Versions") or range(last - len(ids) + 1, last + 1)
    sizes, schemas = values("Sizes") or [len(data)], values("Schema") or [1] * len(ids)
    common = {"position": message["seq"] * 256, "actor": untoken(rest[2]), "version": last}
    for at, (k, name, index, count) in enumerate(commits):
        commit = {"op": name, "index": index, "count": count}
        line = {**common, "command": commands[k], "commit": commit}
        if not ids:
            yield {**line, "receipt": body_of(data)}
            return
        body, data = data[:int(sizes[at])], data[int(sizes[at]):]
        line.update(position=common["position"] + at, version=int(versions[at]), id=untoken(ids[at]))
        line.update(type=untoken(values("Type")[at]), schema=int(schemas[at]), body=body_of(body))
        yield line

for message in sys.stdin:
    for line in lines_of(json.loads(message)):
        print(json.dumps(line))
