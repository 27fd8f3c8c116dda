// Makes the files of this directory with another implementation of age than the one that the agent uses.
//
//     npm install age-encryption@0.3.1 && node make.mjs
//
// Each run makes new keys and files. The keys are test data; never use them for anything.
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { bech32 } from "@scure/base";
import * as age from "age-encryption";

function p256() {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { x, y } = privateKey.export({ format: "jwk" });
    const [xb, yb] = [x, y].map((c) => Buffer.from(c, "base64url"));
    const compressed = Buffer.concat([Buffer.from([2 + (yb[31] & 1)]), xb]);
    return {
        pem: privateKey.export({ format: "pem", type: "pkcs8" }),
        point: Buffer.concat([Buffer.from([4]), xb, yb]).toString("hex"),
        recipient: bech32.encode("age1tag", bech32.toWords(compressed), false),
    };
}

const [ours, other] = [p256(), p256()];
const recoveryIdentity = await age.generateX25519Identity();
const recovery = await age.identityToRecipient(recoveryIdentity);

async function make(file, plaintext, recipients) {
    const encrypter = new age.Encrypter();
    recipients.forEach((r) => encrypter.addRecipient(r));
    writeFileSync(file, await encrypter.encrypt(plaintext));
    return { file, plaintext: Buffer.from(plaintext).toString("hex") };
}

const bytes = (n) => Uint8Array.from({ length: n }, (_, i) => (i * 7 + 1) & 0xff);
const text = new TextEncoder().encode("sealed by another implementation\n");
const opens = [
    await make("tag.age", text, [ours.recipient]),
    await make("tag-and-x25519.age", bytes(48), [ours.recipient, recovery]),
    await make("x25519-and-tag.age", bytes(48), [recovery, ours.recipient]),
    await make("other-tag-first.age", bytes(97), [other.recipient, ours.recipient]),
    await make("empty.age", bytes(0), [ours.recipient]),
];
const noMatchingKey = [
    await make("other-tag.age", text, [other.recipient]),
    await make("x25519.age", text, [recovery]),
];

writeFileSync("sealing-key.pem", ours.pem);
writeFileSync(
    "vectors.json",
    JSON.stringify(
        {
            made_with: "npm age-encryption 0.3.1 (make.mjs)",
            sealing_key: "sealing-key.pem",
            sealing_point: ours.point,
            sealing_recipient: ours.recipient,
            recovery_identity: recoveryIdentity,
            recovery_recipient: recovery,
            opens,
            no_matching_key: noMatchingKey,
        },
        null,
        4,
    ) + "\n",
);
