// TicketBroker tickets as a payer makes them: written with ethers alone, so that it can check other
// implementations.
import {
  AbiCoder,
  MaxUint256,
  Wallet,
  concat,
  getBytes,
  keccak256,
  solidityPacked,
  solidityPackedKeccak256,
  toBeHex,
} from 'ethers';

/** auxData of a ticket: creation round and the block hash recorded for it, 64 bytes. */
export function auxData(round, blockHash) {
  return AbiCoder.defaultAbiCoder().encode(['uint256', 'bytes32'], [round, blockHash]);
}

/** The hash of a ticket, which the broker marks as used. */
export function ticketHash(ticket) {
  return keccak256(
    solidityPacked(
      ['address', 'address', 'uint256', 'uint256', 'uint256', 'bytes32', 'bytes'],
      [
        ticket.recipient,
        ticket.sender,
        ticket.faceValue,
        ticket.winProb,
        ticket.senderNonce,
        ticket.recipientRandHash,
        ticket.auxData,
      ],
    ),
  );
}

/** Signs ticketHash with EIP-191: 65 bytes r || s || v, v 27 or 28. */
export function signTicket(ticket, key) {
  return new Wallet(key).signMessage(getBytes(ticketHash(ticket)));
}

/**
 * A signed ticket {ticket, sig, recipientRand}; every field can be overridden to make a bad one.
 * winProb defaults to 2^256 - 1: the ticket wins.
 */
export async function makeTicket({
  key,
  recipient,
  faceValue,
  senderNonce,
  round,
  blockHash,
  recipientRand = 1n,
  ...rest
}) {
  const ticket = {
    recipient,
    sender: new Wallet(key).address,
    faceValue: BigInt(faceValue),
    winProb: MaxUint256,
    senderNonce: BigInt(senderNonce),
    recipientRandHash: solidityPackedKeccak256(['uint256'], [recipientRand]),
    auxData: auxData(round, blockHash),
    ...rest,
  };
  return { ticket, sig: await signTicket(ticket, key), recipientRand: BigInt(recipientRand) };
}

/** The value that is compared with winProb. */
export function winValue({ sig, recipientRand }) {
  return BigInt(keccak256(concat([sig, toBeHex(recipientRand, 32)])));
}
