// The local node's levers, and the command that the demo starts.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Wallet, parseEther } from 'ethers';
import { attachCoffer, deployCoffer, devKey, startAnvil } from '../lib/chain.mjs';
import { makeTicket } from '../lib/ticket.mjs';

const PROGRAM = path.join(path.dirname(fileURLToPath(import.meta.url)), '../chain.mjs');
const KEY = devKey(1);
const SENDER = new Wallet(KEY).address;
const RECIPIENT = new Wallet(devKey(2)).address;
const run = promisify(execFile);

async function withNode(options, body) {
  const node = await startAnvil(options);
  try {
    await body(node);
  } finally {
    await node.stop();
  }
}

const pay = (node, overrides = {}) =>
  new Wallet(KEY, node.provider).sendTransaction({ to: RECIPIENT, value: 1n, ...overrides });

test('a reorganization takes a payment back, and the transaction can be sent again', () =>
  withNode({}, async (node) => {
    const before = await node.provider.getBalance(RECIPIENT);
    const payer = new Wallet(KEY, node.provider);
    const raw = await payer.signTransaction(
      await payer.populateTransaction({ to: RECIPIENT, value: 1n }),
    );
    const response = await node.provider.broadcastTransaction(raw);
    await node.mined(response);
    await node.mine(2);
    await node.reorg(3);
    assert.equal(await node.provider.getTransactionReceipt(response.hash), null);
    assert.equal(await node.provider.getBalance(RECIPIENT), before);
    await node.mined(await node.provider.broadcastTransaction(raw));
    assert.equal(await node.provider.getBalance(RECIPIENT), before + 1n);
  }));

test('without mining transactions wait, can be dropped, and a block takes the rest', () =>
  withNode({ noMining: true }, async (node) => {
    const [first, second] = [await pay(node, { nonce: 0 }), await pay(node, { nonce: 1 })];
    await node.dropTransaction(second.hash);
    await node.mine();
    assert.equal((await node.receipt(first.hash)).status, 1);
    assert.equal(await node.provider.getTransaction(second.hash), null);
    await node.setAutomine(true);
    assert.equal((await node.mined(await pay(node))).status, 1);
  }));

test('contracts deploy on a chain that does not mine by itself', () =>
  withNode({ noMining: true }, async (node) => {
    const coffer = await deployCoffer(node, { validityPeriod: 5, firstRound: 7 });
    assert.equal(await coffer.broker.ticketValidityPeriod(), 5n);
    assert.equal(await coffer.currentRound(), 7n);
  }));

test('the base fee can be set, and a transaction below it is not mined', () =>
  withNode({ noMining: true }, async (node) => {
    const low = await pay(node, { maxFeePerGas: 3_000_000_000n, maxPriorityFeePerGas: 0n });
    await node.setBaseFee(9_000_000_000n);
    await node.mine();
    assert.equal((await node.provider.getBlock('latest')).baseFeePerGas, 9_000_000_000n);
    assert.equal(await node.provider.getTransactionReceipt(low.hash), null);
  }));

test('two chains run side by side; a foreign port is an error', () =>
  withNode({ chainId: 4242 }, async (node) => {
    await withNode({ chainId: 4243 }, async (other) => assert.notEqual(other.url, node.url));
    await assert.rejects(
      startAnvil({ port: Number(new URL(node.url).port), chainId: 4243 }),
      /anvil ended|another chain/,
    );
  }));

test('a funded sender keeps its nonce and can send a ticket with it', () =>
  withNode({}, async (node) => {
    const coffer = await deployCoffer(node);
    const key = `0x${'5c'.repeat(32)}`;
    const sender = new Wallet(key, node.provider);
    await coffer.registerTranscoders([RECIPIENT]);
    await coffer.fundBroker(sender.address, { deposit: 1000n, reserve: 10n, gas: parseEther('2') });
    assert.equal(await node.provider.getTransactionCount(sender.address), 0);
    assert.equal(await node.provider.getBalance(sender.address), parseEther('2'));
    const signed = await makeTicket({
      key,
      recipient: RECIPIENT,
      faceValue: 600n,
      senderNonce: 0n,
      ...(await coffer.roundForTickets()),
    });
    const response = await coffer.broker
      .connect(sender)
      .redeemWinningTicket(signed.ticket, signed.sig, 1n, { nonce: 0 });
    assert.equal((await node.mined(response)).status, 1);
    assert.equal(await coffer.bondingManager.feesCredited(RECIPIENT), 600n);
  }));

async function waitForFile(file, child) {
  while (!fs.existsSync(file)) {
    assert.equal(child.exitCode, null, 'chain.mjs ended early');
    await sleep(50);
  }
}

test('chain.mjs up and paid: a line a step, a description, fees, a clean stop', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'coffer-chain-'));
  const out = path.join(dir, 'chain.json');
  const registry = path.join(dir, 'registry.json');
  fs.writeFileSync(
    registry,
    JSON.stringify({ orchestrators: { 'orch-1': RECIPIENT, 'orch-2': RECIPIENT } }),
  );
  const child = spawn(process.execPath, [
    PROGRAM,
    'up',
    '--port',
    '0',
    '--chain-id',
    '412346',
    '--out',
    out,
    '--block-time',
    '0.2',
    '--register',
    registry,
    '--fund-sender',
    SENDER,
    '--deposit-eth',
    '3',
    '--reserve-eth',
    '0.5',
  ]);
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  try {
    await waitForFile(out, child);
    const coffer = attachCoffer(out);
    assert.equal((await coffer.node.provider.getNetwork()).chainId, 412346n);
    assert.equal((await coffer.senderInfo(SENDER)).deposit, parseEther('3'));
    const signed = await makeTicket({
      key: KEY,
      recipient: RECIPIENT,
      faceValue: 42n,
      senderNonce: 1n,
      ...(await coffer.roundForTickets()),
    });
    await coffer.send(
      coffer.broker,
      'redeemWinningTicket',
      signed.ticket,
      signed.sig,
      signed.recipientRand,
    );
    await coffer.node.stop();
    const { stdout } = await run(process.execPath, [
      PROGRAM,
      'paid',
      '--chain',
      out,
      '--recipients',
      registry,
    ]);
    assert.deepEqual(JSON.parse(stdout), { [RECIPIENT]: '42' });
  } finally {
    child.kill('SIGTERM');
    assert.equal(await exited, 0);
    fs.rmSync(dir, { recursive: true });
  }
  for (const step of [
    'anvil answers',
    'deployed TicketBroker',
    'registered 1 of 1',
    'ready',
    'stopping on SIGTERM',
  ]) {
    assert.ok(output.includes(step), `no '${step}' in:\n${output}`);
  }
});

test('chain.mjs says what is wrong with a command line', async () => {
  const rows = [
    [['up'], '--out is missing'],
    [['up', '--out', 'x', '--port', '99999'], "--port is '99999'"],
    [['up', '--out', 'x', '--fund-sender', '0x12'], 'is not an address'],
    [['up', '--out', 'x', '--deposit-eth', '-1'], "--deposit-eth is '-1'"],
    [['up', '--out', 'x', '--out', 'y'], '--out is given twice'],
    [['up', '--colour', 'x'], "unknown argument '--colour'"],
    [['down'], "unknown command 'down'"],
  ];
  for (const [args, sentence] of rows) {
    await assert.rejects(run(process.execPath, [PROGRAM, ...args]), (error) => {
      assert.equal(error.code, 2);
      assert.ok(error.stderr.includes(sentence), error.stderr);
      return true;
    });
  }
  assert.match((await run(process.execPath, [PROGRAM, '--help'])).stdout, /Examples/);
});
