// The signer profile as the public Python clients use it, with ethers as the judge of every
// signature.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  SigningKey,
  Transaction,
  Wallet,
  concat,
  encodeRlp,
  getBytes,
  hexlify,
  keccak256,
  toBeHex,
  verifyMessage,
} from 'ethers';
import { BROKER, withEnclave } from '../js/lib/enclave.mjs';
import { encodeCall } from '../js/lib/json_client.mjs';
import { runProgram, until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { auxData, ticketHash } from '../js/lib/ticket.mjs';

const seed = testSeed('json_signer');
const random = new Random(seed);
const MAX_UINT256 = (1n << 256n) - 1n;
const SIGNER = { flags: { profile: 'signer' } };

/** `bytes` random bytes as hex. */
function hex(bytes) {
  let digits = '';
  while (digits.length < 2 * bytes) digits += random.uint32().toString(16).padStart(8, '0');
  return `0x${digits.slice(0, 2 * bytes)}`;
}

const refused = (code, sentence) => (error) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, sentence);
  return true;
};

test('the demo signer of the specification: an address and signatures, no storage, no host', () =>
  withEnclave({ ...SIGNER, tcp: true }, async (enclave) => {
    // As the old clients do it: a connection a request.
    assert.deepEqual(await enclave.call('address'), { address: enclave.address });
    const status = await enclave.call('status');
    assert.equal(status.address, enclave.address);
    assert.equal(status.provisioned, true);
    assert.equal(status.attestation_available, false);
    assert.equal(status.profile, 'signer');
    assert.equal(status.balances, 0n);
    assert.equal(status.pending, 0n);
    // And many requests on one, whose answers come in their order.
    const connection = await enclave.connect();
    const hashes = Array.from({ length: 100 }, () => hex(32));
    const answers = await Promise.all(
      hashes.map((hash) => connection.call('sign_message_defunct', { message_hash: hash })),
    );
    answers.forEach(({ signature }, i) =>
      assert.equal(verifyMessage(getBytes(hashes[i]), signature), enclave.address),
    );
    await connection.close();
    assert.match(enclave.program.text(), /INSECURE: there is no policy/);
  }));

test('port 0 is a free port, and the log says which', () =>
  withEnclave(SIGNER, async (enclave) => {
    enclave.program.args[enclave.program.args.indexOf(enclave.endpoint)] = 'tcp://127.0.0.1:0';
    await enclave.kill();
    enclave.program.start();
    const [endpoint] = await until('the endpoint', () =>
      /tcp:\/\/127\.0\.0\.1:[1-9]\d*/.exec(enclave.program.lastRun()),
    );
    enclave.endpoint = endpoint;
    assert.deepEqual(await enclave.call('address'), { address: enclave.address });
  }));

test('sign_message_defunct is EIP-191 over the bytes, of any length', () =>
  withEnclave(SIGNER, async (enclave) => {
    const wallet = new Wallet(enclave.key);
    for (const bytes of [1, 4, 31, 32, 33, 64, 99, 100, 1000, 65536]) {
      const message = hex(bytes);
      for (const given of [message, message.toUpperCase().replace('0X', '0x')]) {
        const { signature } = await enclave.call('sign_message_defunct', { message_hash: given });
        assert.equal(signature, wallet.signMessageSync(getBytes(message)));
      }
    }
    for (const [given, sentence] of [
      [undefined, /missing params: message_hash/],
      ['', /missing params: message_hash/],
      ['0x123', /hex/],
      ['1234', /0x/],
      ['0xzz', /hex/],
      [5, /string/],
      [hex(65537), /65537 bytes/],
    ]) {
      await assert.rejects(
        enclave.call('sign_message_defunct', { message_hash: given }),
        refused('malformed', sentence),
      );
    }
  }));

test('sign_transaction takes what eth-account takes', () =>
  withEnclave(SIGNER, async (enclave) => {
    const wallet = new Wallet(enclave.key);
    const dynamic = { chainId: 42161, nonce: 7, gas: 350000, maxFeePerGas: 20n * 10n ** 9n };
    Object.assign(dynamic, { maxPriorityFeePerGas: 0, to: BROKER, value: 0, data: '0x6caa736b' });
    for (const [given, expected] of [
      [dynamic, { type: 2, ...dynamic, gasLimit: 350000 }],
      [{ ...dynamic, type: '0x2' }, { type: 2, ...dynamic, gasLimit: 350000 }],
      [
        { chainId: '0xa4b1', nonce: '0x0', gas: '0x5208', gasPrice: '100', to: BROKER.toLowerCase() },
        { type: 0, chainId: 42161, nonce: 0, gasLimit: 21000, gasPrice: 100, to: BROKER },
      ],
      [
        { chainId: 1, nonce: 1, gas: 90000, gasPrice: MAX_UINT256, value: MAX_UINT256, to: '' },
        { type: 0, chainId: 1, nonce: 1, gasLimit: 90000, gasPrice: MAX_UINT256, value: MAX_UINT256 },
      ],
      [
        { chainId: 1, nonce: 1, gas: 90000, gasPrice: 1, accessList: [], input: '0x00' },
        { type: 1, chainId: 1, nonce: 1, gasLimit: 90000, gasPrice: 1, accessList: [], data: '0x00' },
      ],
    ]) {
      const { gas, ...fields } = expected;
      const { raw_tx: raw } = await enclave.call('sign_transaction', { tx: given });
      assert.equal(raw, await wallet.signTransaction(Transaction.from(fields)));
      assert.equal(Transaction.from(raw).from, enclave.address);
    }
  }));

test('nonces beyond 2^53, which ethers has no number for', () =>
  withEnclave(SIGNER, async (enclave) => {
    const bytes = (integer) => (integer === 0n ? '0x' : toBeHex(integer));
    const key = new SigningKey(enclave.key);
    for (const nonce of [1n << 53n, (1n << 63n) + 5n, (1n << 64n) - 2n, (1n << 64n) - 1n]) {
      const tx = { chainId: 5, nonce, gas: (1n << 64n) - 1n, gasPrice: 9, to: BROKER, value: 1 };
      const fields = [nonce, 9n, tx.gas].map(bytes).concat([BROKER, bytes(1n), '0x']);
      const hash = keccak256(encodeRlp([...fields, bytes(5n), '0x', '0x']));
      const { r, s, yParity } = key.sign(hash);
      const signed = [BigInt(yParity) + 35n + 10n, BigInt(r), BigInt(s)].map(bytes);
      const { raw_tx: raw } = await enclave.call('sign_transaction', { tx });
      assert.equal(raw, encodeRlp([...fields, ...signed]), `nonce ${nonce}`);
    }
  }));

test('a transaction that is not understood whole is not signed', () =>
  withEnclave(SIGNER, async (enclave) => {
    const tx = { chainId: 1, nonce: 0, gas: 21000, gasPrice: 1, to: BROKER, value: 1 };
    const { gasPrice: _, ...dynamic } = { ...tx, maxFeePerGas: 2, maxPriorityFeePerGas: 1 };
    const cases = [
      [undefined, /missing params: tx/],
      [[], /`tx` must be an object/],
      [{}, /missing params: .*chainId.*nonce.*gas.*gasPrice/],
      [{ ...tx, chainId: 0 }, /chain/],
      [{ ...tx, chainId: 1n << 64n }, /chainId/],
      [{ ...tx, nonce: -1 }, /negative/],
      [{ ...tx, nonce: 1n << 64n }, /nonce/],
      [{ ...tx, gas: 1.5 }, /integer/],
      [{ ...tx, gas: '1e5' }, /gas/],
      [{ ...tx, value: 1n << 256n }, /value/],
      [{ ...tx, value: true }, /integer/],
      [{ ...tx, to: '0x1234' }, /address/],
      [{ ...tx, to: BROKER.replace('a8', 'A8') }, /checksum|EIP-55/i],
      [{ ...tx, from: enclave.address }, /`tx\.from` is not known/],
      [{ ...tx, gasLimit: 21000 }, /gasLimit/],
      [{ ...tx, maxFeePerGas: 2 }, /gasPrice|maxPriorityFeePerGas/],
      [{ ...tx, type: 3 }, /type/],
      [{ ...tx, type: 0, accessList: [] }, /accessList/],
      [{ ...dynamic, gasPrice: 1 }, /gasPrice/],
      [{ ...tx, data: '0x1' }, /hex/],
      [{ ...tx, data: '0x11', input: '0x12' }, /differs/],
      [{ ...tx, data: `0x${'00'.repeat((128 << 10) + 1)}` }, /131073 bytes/],
      [{ ...dynamic, accessList: [{ address: BROKER }] }, /accessList\[0\]/],
      [{ ...dynamic, accessList: [[BROKER, ['0x12']]] }, /32 bytes/],
      [{ ...dynamic, accessList: Array(1025).fill([BROKER, []]) }, /1025/],
    ];
    for (const [given, sentence] of cases) {
      await assert.rejects(
        enclave.call('sign_transaction', { tx: given }),
        (error) => {
          assert.ok(['malformed', 'out_of_range'].includes(error.code), JSON.stringify(error));
          assert.match(error.message, sentence);
          return true;
        },
        `not refused: ${encodeCall('', { tx: given }).toString().slice(0, 300)}`,
      );
    }
    // Keys that are there twice can't be written with an object.
    const connection = await enclave.connect();
    for (const [payload, sentence] of [
      ['{"method":"sign_transaction","params":{"tx":{"nonce":1,"nonce":2}}}', /twice/],
      ['{"method":"sign_transaction","method":"address"}', /twice/],
      ['{"method":"sign_transaction","params":{"tx":{"gas":NaN}}}', /JSON/],
      ['{"method":"sign_transaction","params":{"tx":{"chainId":1e400}}}', /missing|integer/],
      ['{"method":"address","params":[]}', /params/],
      ['{"method":"address","id":1}', /`id`/],
      ['{"method":5}', /method/],
      ['{"params":{}}', /method/],
      ['{"method":"address"} {"method":"address"}', /JSON/],
      ['{"method":"self_destruct"}', /unknown method `self_destruct`/],
    ]) {
      const answer = JSON.parse(await connection.send(Buffer.from(payload)));
      assert.match(answer.error?.message ?? '(none)', sentence, payload);
    }
    assert.deepEqual(await connection.call('address'), { address: enclave.address });
    assert.equal((await enclave.status()).signatures, '0');
  }));

test('sign_ticket signs the hash that TicketBroker computes', () =>
  withEnclave(SIGNER, async (enclave) => {
    for (let i = 0; i < 50; i++) {
      const ticket = {
        recipient: new Wallet(hex(32)).address,
        sender: enclave.address,
        faceValue: BigInt(hex(1 + random.below(32))),
        winProb: random.chance(0.5) ? MAX_UINT256 : BigInt(hex(1 + random.below(32))),
        senderNonce: BigInt(hex(1 + random.below(32))),
        recipientRandHash: hex(32),
        auxData: auxData(BigInt(hex(8)), hex(32)), // a round is below 2^64
      };
      const { sender, winProb, ...rest } = ticket;
      const given = { ...(random.chance(0.5) ? { sender } : {}), ...rest };
      if (winProb !== MAX_UINT256 || random.chance(0.5)) given.winProb = winProb;
      const snake = Object.fromEntries(
        Object.entries(given).map(([name, value]) => [
          name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
          typeof value === 'bigint' ? String(value) : value,
        ]),
      );
      const answer = await enclave.call('sign_ticket', { ticket: random.chance(0.5) ? given : snake });
      assert.equal(answer.ticket_hash, ticketHash(ticket));
      assert.equal(verifyMessage(getBytes(answer.ticket_hash), answer.signature), enclave.address);
    }
  }));

test('attestation: nothing where there is no device, and no nonce beyond 32 bytes', () =>
  withEnclave(SIGNER, async (enclave) => {
    assert.deepEqual(await enclave.call('attestation'), {});
    assert.deepEqual(await enclave.call('attestation', { nonce: hex(32) }), {});
    await assert.rejects(
      enclave.call('attestation', { nonce: hex(33) }),
      refused('malformed', /33 bytes; at most 32/),
    );
  }));

const EVENT = { orchestrator_id: 'o', recipient: BROKER, event_id: 'e' };
const FEES = { nonce: 0, gas: 350000, maxFeePerGas: 1, maxPriorityFeePerGas: 0 };
const LEDGER_METHODS = [
  ['credit', { ...EVENT, amount_wei: 1 }],
  ['apply_delta', { ...EVENT, delta_wei: -1 }],
  ['apply_event', { ...EVENT, kind: 'credit', amount_wei: 1 }],
  ['balance', { orchestrator_id: 'o' }],
  [
    'livepeer_prepare_redeem_tx',
    { orchestrator_id: 'o', ticket_broker: BROKER, aux_data: concat([hexlify(new Uint8Array(64))]), tx: FEES },
  ],
  ['livepeer_prepare_fund_deposit_tx', { ticket_broker: BROKER, amount_wei: 1, tx: FEES }],
  [
    'prepare_payouts',
    {
      payouts: [{ orchestrator_id: 'o' }],
      chain: { ...FEES, round: 1, round_block_hash: `0x${'11'.repeat(32)}` },
    },
  ],
  ['confirm_payout', { tx_hash: `0x${'11'.repeat(32)}`, status: 1 }],
];

test('what needs a ledger does not exist here, and the answer says why', () =>
  withEnclave(SIGNER, async (enclave) => {
    for (const [method, params] of LEDGER_METHODS) {
      await assert.rejects(
        enclave.call(method, params),
        refused('wrong_profile', /signer profile: it keeps no ledger/),
        method,
      );
    }
  }));

const AWS = {
  region: 'eu-central-1',
  aws_access_key_id: 'AKIAEXAMPLE',
  aws_secret_access_key: 'hunter2hunter2',
  aws_session_token: 'token-token',
};
const PROVISION = { ...AWS, ciphertext_b64: 'AAECAw==' };
const GENERATE = { ...AWS, key_id: 'alias/payments' };
const LIMITS = { chain_id: 42161, ticket_broker: BROKER };

test('provision and generate check what they are given', () =>
  withEnclave({ flags: { profile: 'signer', 'allow-reprovision': true, 'log.level': 'debug' } }, async (enclave) => {
    for (const [method, params, sentence] of [
      ['provision', {}, /missing params: region,aws_access_key_id,aws_secret_access_key,aws_session_token,ciphertext_b64/],
      ['generate', {}, /missing params: region,.*key_id/],
      ['provision', { ...PROVISION, ciphertext_b64: 'AAECAw' }, /base64/],
      ['provision', { ...PROVISION, proxy_port: 0 }, /proxy_port/],
      ['provision', { ...PROVISION, proxy_port: 'x' }, /proxy_port/],
      ['provision', { ...PROVISION, expected_address: '0x12' }, /expected_address/],
      ['provision', { ...PROVISION, region: 5 }, /region/],
      ['provision', { ...PROVISION, max_face_value_wei: 5 }, /missing params: .*chain_id.*ticket_broker/],
      ['provision', { ...PROVISION, ...LIMITS, require_allowlist: 'perhaps' }, /require_allowlist/],
      ['provision', { ...PROVISION, ...LIMITS, allowed_recipients: `${BROKER},0x12` }, /allowed_recipients/],
      ['provision', { ...PROVISION, ...LIMITS, max_face_value_wei: -1 }, /max_face_value_wei/],
      ['generate', { ...GENERATE, key_spec: 'AES-128' }, /key_spec/],
    ]) {
      await assert.rejects(enclave.call(method, params), refused('malformed', sentence), method);
    }
    const yes = { ...LIMITS, require_allowlist: 'yes', allow_fund_deposit: 0 };
    for (const [method, params] of [
      ['provision', PROVISION],
      ['provision', { ...PROVISION, ...yes, allowed_recipients: `${BROKER}, ${enclave.address}` }],
      ['provision', { ...PROVISION, ...yes, allowed_recipients: [BROKER], max_face_value_wei: MAX_UINT256 }],
      ['generate', GENERATE],
      ['generate', { ...GENERATE, key_spec: 'AES-256', proxy_port: '8001', ...LIMITS }],
    ]) {
      await assert.rejects(
        enclave.call(method, params),
        refused('unavailable', /KMS is not configured/),
        method,
      );
    }
    for (const secret of Object.values(AWS).slice(1)) {
      assert.ok(!enclave.program.text().includes(secret), 'a credential is in the log');
    }
  }));

test('there is a key, so a second one is refused', () =>
  withEnclave(SIGNER, async (enclave) => {
    for (const [method, params] of [['provision', PROVISION], ['generate', GENERATE]]) {
      await assert.rejects(
        enclave.call(method, params),
        refused('already_provisioned', /already provisioned/),
      );
    }
  }));

test('an enclave with half a policy does not start', async () => {
  const key = { env: { SIGNER_PRIVATE_KEY: `0x${'11'.repeat(32)}` } };
  for (const [args, sentence] of [
    [['--max-face-value-wei', '5'], /--chain-id and --ticket-broker are needed/],
    [['--chain-id', '1', '--ticket-broker', BROKER, '--admins', BROKER, '--admin-threshold', '1', '--storage', 'none'], /--storage none forgets/],
    [['--chain-id', '1', '--ticket-broker', BROKER, '--admins', BROKER, '--admin-threshold', '2'], /admin_threshold/],
    [['--chain-id', '1', '--ticket-broker', BROKER, '--allowed-recipients', '0x12'], /allowed-recipients/],
  ]) {
    const ended = await runProgram('coffer-enclave', ['--insecure-dev-key', '--profile', 'signer', ...args], key);
    assert.equal(ended.code, 2, args.join(' '));
    assert.match(ended.stderr, sentence);
  }
});
