// TicketBroker's calldata and events with ethers alone, so that it can judge what is signed.
import { Interface } from 'ethers';
import { ticketHash } from './ticket.mjs';

const TICKET =
  'tuple(address recipient, address sender, uint256 faceValue, uint256 winProb, uint256 senderNonce, bytes32 recipientRandHash, bytes auxData)';

export const BROKER_INTERFACE = new Interface([
  `function redeemWinningTicket(${TICKET} ticket, bytes sig, uint256 recipientRand)`,
  `function batchRedeemWinningTickets(${TICKET}[] tickets, bytes[] sigs, uint256[] recipientRands)`,
  'function fundDeposit() payable',
  'function fundReserve() payable',
  'function withdraw()',
  'event WinningTicketTransfer(address indexed sender, address indexed recipient, uint256 amount)',
  'event WinningTicketRedeemed(address indexed sender, address indexed recipient, uint256 faceValue, uint256 winProb, uint256 senderNonce, uint256 recipientRand, bytes auxData)',
]);

/** Calldata that redeems signed tickets ({ticket, sig, recipientRand}): one, or a batch. */
export function redemptionCalldata(signed, { batch = signed.length !== 1 } = {}) {
  if (!batch) {
    const [{ ticket, sig, recipientRand }] = signed;
    return BROKER_INTERFACE.encodeFunctionData('redeemWinningTicket', [ticket, sig, recipientRand]);
  }
  return BROKER_INTERFACE.encodeFunctionData('batchRedeemWinningTickets', [
    signed.map(({ ticket }) => ticket),
    signed.map(({ sig }) => sig),
    signed.map(({ recipientRand }) => recipientRand),
  ]);
}

/** {name, redemptions: [{ticket, hash, sig, recipientRand}]} of calldata; throws if it is none. */
export function decodeBrokerCall(data) {
  const call = BROKER_INTERFACE.parseTransaction({ data });
  if (call === null) throw new Error(`no function of the broker: ${data.slice(0, 10)}`);
  const lists = {
    redeemWinningTicket: ([ticket, sig, rand]) => [[ticket], [sig], [rand]],
    batchRedeemWinningTickets: (lists) => [...lists],
  }[call.name]?.(call.args) ?? [[], [], []];
  const [tickets, sigs, rands] = lists;
  const redemptions = [...tickets].map((result, i) => {
    const ticket = result.toObject();
    return { ticket, hash: ticketHash(ticket), sig: sigs[i], recipientRand: rands[i] };
  });
  return { name: call.name, redemptions, lengths: lists.map((list) => list.length) };
}

/** The logs of one redemption that paid `amount`, as eth_getTransactionReceipt gives them. */
export function redemptionLogs(broker, { ticket, recipientRand }, amount = ticket.faceValue) {
  const log = (name, values) => ({
    address: broker,
    ...BROKER_INTERFACE.encodeEventLog(name, values),
  });
  const { sender, recipient, faceValue, winProb, senderNonce, auxData } = ticket;
  const transfer = log('WinningTicketTransfer', [sender, recipient, amount]);
  const values = [sender, recipient, faceValue, winProb, senderNonce, recipientRand, auxData];
  return [...(amount === 0n ? [] : [transfer]), log('WinningTicketRedeemed', values)];
}
