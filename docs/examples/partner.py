#!/usr/bin/env python3
"""A partner app for a signing agent (docs/partner-apps.md). On Debian: apt install python3-websocket

Usage: partner.py [DECISIONS]     ends after so many; without, it goes on for ever. From the environment:
SIGNING_AGENT_URL                 http://127.0.0.1:8007, which is the default, or https://…
SIGNING_AGENT_TOKEN_FILE          a file with a token of the scopes decide, read and feed
SIGNING_AGENT_CERT_FILE, _KEY_FILE   instead, or as well: a client certificate and its key (PEM)
SIGNING_AGENT_CA_FILE             who vouches for the agent's own certificate, if not one whom the system knows
SIGNING_AGENT_REGISTRATION_FILE   {"name":…,"APIKey":…,"Base64PrivateKey":…}: registers the agent first (scope register)"""
import collections, http.client, json, os, ssl, sys, time, urllib.parse
import websocket

named = lambda name: os.environ.get("SIGNING_AGENT_" + name)
words = lambda answer: " ".join(filter(None, [answer.get("Reason"), answer.get("Detail")]))
URL = urllib.parse.urlsplit(named("URL") or "http://127.0.0.1:8007")
HEADERS = {"Authorization": "Bearer " + open(named("TOKEN_FILE")).read().strip()} if named("TOKEN_FILE") else {}
TLS = ssl.create_default_context(cafile=named("CA_FILE")) if URL.scheme == "https" else None
if TLS and named("CERT_FILE"):
    TLS.load_cert_chain(named("CERT_FILE"), named("KEY_FILE"))
LOST = (OSError, http.client.HTTPException, websocket.WebSocketException, ValueError)
DECIDED = collections.deque(maxlen=10_000)  # both the list and the feed may name an action

def once(method, path, body):
    kind, more = (http.client.HTTPSConnection, {"context": TLS}) if TLS else (http.client.HTTPConnection, {})
    connection = kind(URL.hostname, URL.port, timeout=60, **more)
    connection.request(method, "/api/v1" + path, body, HEADERS)
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read()), float(reply.headers.get("Retry-After") or 0)

def ask(method, path, body=None, tries=6):
    """Asks until it is answered: a request whose answer was lost may be sent again, for deciding twice is deciding once."""
    for n in range(tries):
        try:
            status, answer, wait = once(method, path, body)
        except ssl.SSLCertVerificationError as e:
            sys.exit(f"the agent's certificate: {e.verify_message}")
        except LOST as e:
            status, answer, wait = 0, {"Detail": f"{method} {path}: {e}"}, 0
        if status not in (0, 429, 502, 503, 504) or wait > 30 or n + 1 == tries:
            break
        time.sleep(wait or 2**n / 4)
    if status == 401 and answer.get("Reason") != "token-needed":  # that is about one action alone
        sys.exit("the agent does not know this app: " + words(answer))
    return status, answer

def wanted(action, facts):
    """This app's rule. What else it knows (an order of its own, a customer) belongs here, and so do the facts."""
    return action["type"] == "ApproveTransfer"

def decide(action):
    known, facts = ask("GET", "/client/action/" + action["id"])
    method = "PUT" if wanted(action, facts if known == 200 else None) else "DELETE"
    status, answer = ask(method, "/client/action/" + action["id"])
    # 202: more people have to approve. 401: it takes a token. 403: the policy says no. 404: the backend has none. 409: it ended otherwise.
    print(answer.get("status") or f"refused {status}", action["id"], action["type"], facts.get("summary", ""), words(answer), flush=True)
    return status in (200, 202, 401, 403, 404, 409)  # else it is in the list when the feed is opened again

def event(text):
    try:
        return {"id": None, "type": None, "status": None, **json.loads(text)}
    except (ValueError, TypeError):
        return {"status": None}  # the feed is the backend's, word for word

def listen():
    """Opens the feed, then asks what is held: in this order nothing falls between the two."""
    feed = websocket.create_connection(f"ws{URL.scheme[4:]}://{URL.netloc}/api/v1/client/feed", timeout=90, header=HEADERS,
                                       sslopt={"context": TLS}, suppress_origin=True, http_no_proxy=["*"])
    known, held = ask("GET", "/actions?status=seen,held&limit=200")
    for action in held["actions"] if known == 200 else []:
        yield {**action, "id": action["actionID"], "status": "pending"}
    while True:  # the agent pings every 30 s, and the library answers
        opcode, data = feed.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise ConnectionError(data[2:].decode() or "closed")
        yield event(data)

def main(left):
    if named("REGISTRATION_FILE"):
        status, answer = ask("POST", "/register", open(named("REGISTRATION_FILE"), "rb").read())
        if status != 200 and "already exist" not in answer["Detail"]:
            sys.exit(f"not registered ({status}): " + words(answer))
    status, answer = ask("GET", "/client")
    if status != 200 or not answer["agentID"]:
        sys.exit(f"no agent ({status}): " + (words(answer) or "SIGNING_AGENT_REGISTRATION_FILE registers it"))
    print("agent", answer["agentID"], flush=True)
    while True:
        try:
            for action in listen():
                if action["status"] == "pending" and action["id"] not in DECIDED and decide(action):
                    DECIDED.append(action["id"])
                    if (left := left - 1) == 0:
                        return
        except LOST as e:
            if getattr(e, "status_code", 0) in (401, 403):
                sys.exit(f"no feed for this app: {e}")
            print("the feed has ended:", e, file=sys.stderr)
            time.sleep(1)

main(int(sys.argv[1]) if len(sys.argv) > 1 else -1)
