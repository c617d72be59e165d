// A policy as EIP-712 typed data, with ethers: what its admins sign, and its hash.
import { TypedDataEncoder } from 'ethers';

const POLICY =
  'bool unrestricted,uint64 chainId,address ticketBroker,bool allowTickets,uint256 maxFaceValue,' +
  'uint256 maxBatchTotal,uint32 maxTickets,uint256 winProb,uint64 ticketValidityRounds,' +
  'bool voidOnHostWord,bool allowEthTransfer,uint256 maxTransfer,uint256 maxFundDeposit,' +
  'uint256 maxFundReserve,bool requireAllowlist,address[] allowedRecipients,uint64 maxGasLimit,' +
  'uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,uint256 maxTransactionCost,' +
  'bool allowAccessList,bool allowRawMessages,uint64 velocityWindow,uint256 velocityTotal,' +
  'uint256 velocityRecipient,uint32 velocitySignatures,address creditReporter,' +
  'bool requireCreditSignature,address[] admins,uint32 adminThreshold';

const members = (list) =>
  list.split(',').map((member) => {
    const [type, name] = member.split(' ');
    return { type, name };
  });

const TYPES = {
  PolicyChange: members('address signer,uint64 sequence,Policy policy'),
  Policy: members(POLICY),
};

/** The policy's hash: EIP-712's hashStruct. `policy` is as the method `policy` answers it. */
export const policyHash = (policy) =>
  TypedDataEncoder.hashStruct('Policy', { Policy: TYPES.Policy }, policy);

/** The signatures of `wallets` under a change; `more` goes into the domain. */
export function signChange(wallets, { signer, sequence, policy }, more = {}) {
  const domain = { name: 'Coffer policy', version: '1', chainId: policy.chainId, ...more };
  return Promise.all(
    wallets.map((wallet) => wallet.signTypedData(domain, TYPES, { signer, sequence, policy })),
  );
}
