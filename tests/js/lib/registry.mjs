// The checkpoint registry on a local chain, and the statements that it accepts.
import { Contract, ContractFactory, Wallet, getBytes, solidityPackedKeccak256 } from 'ethers';
import { devKey } from './chain.mjs';
import { compileContracts } from './compile.mjs';

/** Deploys CheckpointRegistry and returns it, spoken to as the dev account `index`. */
export async function deployRegistry(node, index = 0) {
  const { abi, bytecode } = compileContracts().CheckpointRegistry;
  const owner = new Wallet(devKey(index), node.provider);
  const deployed = await new ContractFactory(abi, bytecode, owner).deploy();
  const receipt = await node.mined(deployed.deploymentTransaction());
  return new Contract(receipt.contractAddress, abi, owner);
}

/** The digest of docs/transparency.md, "For chains". `root`: 32 bytes. */
export const statementDigest = ({ audit, size, root, chainId, registry }) =>
  solidityPackedKeccak256(
    ['string', 'address', 'uint64', 'bytes32', 'uint256', 'address'],
    ['coffer-audit:checkpoint:v1', audit, size, root, chainId, registry],
  );

/** r, s, v of the audit key's EIP-191 signature; the statement's audit address is the key's unless given. */
export const signStatement = (wallet, statement) =>
  wallet.signMessageSync(getBytes(statementDigest({ audit: wallet.address, ...statement })));
