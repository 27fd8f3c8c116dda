#!/usr/bin/env python3
"""A second opinion for a signing agent (docs/callback.md). On Debian: apt install python3-cryptography

Usage: callback.py AGENT_KEY OWN_KEY PORT MOST [REFUSED_ADDRESS ...]
AGENT_KEY: what `signing-agent callback-key` prints. OWN_KEY: `openssl ecparam -name prime256v1 -genkey -noout`.
Approves what moves at most MOST (smallest units) at a time, to none of the refused addresses. Plain HTTP on loopback."""
import base64, http.server, json, sys, time
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

ES256, KIND = ec.ECDSA(hashes.SHA256()), "signing-agent-callback"
AGENT = serialization.load_pem_public_key(open(sys.argv[1], "rb").read())
OWN = serialization.load_pem_private_key(open(sys.argv[2], "rb").read(), None)
PORT, MOST, REFUSED = int(sys.argv[3]), int(sys.argv[4]), {address.lower() for address in sys.argv[5:]}

def unbase64(text):
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))

def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=")

def verified(jwt):
    """The question's claims. The signature comes first: r || s, 32 octets each; an exception where it is wrong."""
    header, claims, signature = jwt.split(b".")
    r, s = (int.from_bytes(half, "big") for half in (unbase64(signature)[:32], unbase64(signature)[32:]))
    AGENT.verify(utils.encode_dss_signature(r, s), header + b"." + claims, ES256)
    header, claims = json.loads(unbase64(header)), json.loads(unbase64(claims))
    if header != {"alg": "ES256", "typ": KIND + "+jwt"} or not claims["iat"] - 60 <= time.time() <= claims["exp"]:
        raise ValueError("not a question, or one of another time")
    return claims

def decide(claims):
    for wallet in (message.get("wallet") for message in claims["facts"]):
        if not wallet or not wallet["moves"]:
            return "IGNORE", "it does not say what it moves"  # held: somebody shall look
        for move in wallet["moves"]:
            if move["to"].lower() in REFUSED:
                return "REJECT", "it goes to " + move["to"]
            if int(move["amount"]) > MOST:
                return "REJECT", "it moves more than %d" % MOST
    return "APPROVE", "within bounds"

def answer(claims):
    decision, reason = decide(claims)
    said = {"nonce": claims["jti"], "action": claims["action"]["id"], "messages": claims["messages"],
            "decision": decision, "iat": int(time.time()), "reason": reason}
    signed = b".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": KIND + "-answer+jwt"}, said))
    r, s = utils.decode_dss_signature(OWN.sign(signed, ES256))
    return signed + b"." + base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

class Callback(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            status, reply = 200, answer(verified(self.rfile.read(min(int(self.headers["content-length"]), 1 << 20))))
        except Exception as e:  # whatever it is, it is no approval
            status, reply = 400, repr(e).encode()
        self.send_response(status), self.send_header("content-length", str(len(reply))), self.end_headers()
        self.wfile.write(reply)

http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Callback).serve_forever()
