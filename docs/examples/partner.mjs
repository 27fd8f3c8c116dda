#!/usr/bin/env node
// A partner app for a signing agent (docs/partner-apps.md). On Debian: apt install nodejs node-ws; elsewhere: npm install ws
//
// Usage: partner.mjs [DECISIONS]     ends after so many; without, it goes on for ever. From the environment:
// SIGNING_AGENT_URL                  http://127.0.0.1:8007, which is the default, or https://…
// SIGNING_AGENT_TOKEN_FILE           a file with a token of the scopes decide, read and feed
// SIGNING_AGENT_CERT_FILE, _KEY_FILE    instead, or as well: a client certificate and its key (PEM)
// SIGNING_AGENT_CA_FILE              who vouches for the agent's own certificate, if not one whom Node knows
// SIGNING_AGENT_REGISTRATION_FILE    {"name":…,"APIKey":…,"Base64PrivateKey":…}: registers the agent first (scope register)
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
const WebSocket = createRequire(import.meta.url)("ws");

const named = (name) => process.env["SIGNING_AGENT_" + name];
const read = (name) => (named(name) ? readFileSync(named(name)) : undefined);
const url = new URL(named("URL") ?? "http://127.0.0.1:8007");
const token = read("TOKEN_FILE")?.toString().trim();
const headers = token ? { authorization: `Bearer ${token}` } : {};
const tls = url.protocol === "https:" ? { ca: read("CA_FILE"), cert: read("CERT_FILE"), key: read("KEY_FILE") } : {};
const decided = new Set(); // both the list and the feed may name an action
const words = (answer) => [answer.Reason, answer.Detail].filter(Boolean).join(" ");
const giveUp = (words) => (console.error(words), process.exit(1));

const { request } = url.protocol === "https:" ? https : http;
const once = (method, path, body) => new Promise((resolve, reject) => {
  const signal = AbortSignal.timeout(60_000);
  request(new URL("/api/v1" + path, url), { method, headers, signal, ...tls }, async (reply) => {
    try {
      let text = "";
      for await (const piece of reply) text += piece;
      resolve({ status: reply.statusCode, answer: JSON.parse(text), wait: Number(reply.headers["retry-after"] ?? 0) });
    } catch (e) { reject(e); }
  }).on("error", reject).end(body);
});

// Asks until it is answered: a request whose answer was lost may be sent again, for deciding twice is deciding once.
async function ask(method, path, body, tries = 6) {
  for (let n = 0; ; n++) {
    const lost = (e) => ({ status: 0, answer: { Detail: `${method} ${path}: ${e.message}` }, wait: 0 });
    const { status, answer, wait } = await once(method, path, body).catch(lost);
    if (status === 401 && answer.Reason !== "token-needed") giveUp("the agent does not know this app: " + words(answer));
    if (![0, 429, 502, 503, 504].includes(status) || wait > 30 || n + 1 === tries) return { status, answer };
    await sleep(1000 * (wait || 2 ** n / 4));
  }
}

// This app's rule. What else it knows (an order of its own, a customer) belongs here, and so do `facts`.
const wanted = (action, facts) => action.type === "ApproveTransfer";

async function decide(action) {
  const { status: known, answer: facts } = await ask("GET", "/client/action/" + action.id);
  const yes = wanted(action, known === 200 ? facts : undefined);
  const { status, answer } = await ask(yes ? "PUT" : "DELETE", "/client/action/" + action.id);
  // 202: more people have to approve. 401: it takes a token. 403: the policy says no. 404: the backend has none. 409: it ended otherwise.
  console.log(answer.status ?? `refused ${status}`, action.id, action.type, facts.summary ?? "", words(answer));
  return [200, 202, 401, 403, 404, 409].includes(status); // else it is in the list when the feed is opened again
}

let left = Number(process.argv[2] ?? Infinity);
async function consider(action) {
  if (action?.status !== "pending" || decided.has(action.id)) return;
  if (!(await decide(action))) return;
  if (decided.add(action.id).size > 10_000) decided.clear();
  if (--left === 0) process.exit();
}

// The feed is the backend's, word for word.
const event = (text) => { try { return JSON.parse(text); } catch { return undefined; } };

// Opens the feed, then asks what is held: in this order nothing falls between the two. Ends when the feed does.
const listen = () => new Promise((ended) => {
  const feed = new WebSocket(new URL("/api/v1/client/feed", url.href.replace(/^http/, "ws")), { headers, ...tls });
  let [alive, last] = [undefined, Promise.resolve()]; // the agent pings every 30 s, and the library answers
  const ping = () => (clearTimeout(alive), (alive = setTimeout(() => feed.terminate(), 90_000)));
  const next = (action) => (last = last.then(() => consider(action))); // one after another
  feed.on("open", async () => {
    ping();
    const { status, answer } = await ask("GET", "/actions?status=seen,held&limit=200");
    for (const held of status === 200 ? answer.actions : [])
      next({ ...held, id: held.actionID, status: "pending" });
  });
  feed.on("ping", ping).on("message", (text) => next(event(text)));
  feed.on("unexpected-response", (_, { statusCode }) =>
    [401, 403].includes(statusCode) ? giveUp(`no feed for this app: ${statusCode}`) : ended(`HTTP ${statusCode}`));
  feed.on("error", (e) => ended(e.message)).on("close", (code, why) => (clearTimeout(alive), ended(`${code} ${why}`)));
});

const registration = read("REGISTRATION_FILE");
const registered = registration && (await ask("POST", "/register", registration));
if (registered && registered.status !== 200 && !registered.answer.Detail.includes("already exist"))
  giveUp(`not registered (${registered.status}): ${words(registered.answer)}`);
const client = await ask("GET", "/client");
if (client.status !== 200 || !client.answer.agentID)
  giveUp(`no agent (${client.status}): ` + (words(client.answer) || "SIGNING_AGENT_REGISTRATION_FILE registers it"));
console.log("agent", client.answer.agentID);
for (;; await sleep(1000)) console.error("the feed has ended:", await listen());
