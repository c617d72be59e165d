// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

/// The heads of transparency logs, kept where their operators cannot rewrite them.
///
/// A log is its audit address: nobody owns this contract and nothing in it is administered. The
/// first valid head registers a log; each later one must be larger and proven to have grown out of
/// the one before (RFC 9162, 2.1.4.2), so what is accepted here is one append-only history for each
/// audit address. Anybody may submit; the signature inside is what counts.
///
/// What is signed, with EIP-191 over the 32 bytes of the digest:
///
///   keccak256("coffer-audit:checkpoint:v1" | audit 20 | size 8 | root 32 | chain id 32 | registry 20)
contract CheckpointRegistry {
    struct Head {
        uint64 size;
        /// Of the acceptance: block.number (on Arbitrum the L1 block's) and block.timestamp.
        uint64 blockNumber;
        uint64 timestamp;
        /// The audit address signed two roots for one size. Never cleared.
        bool equivocated;
    }

    mapping(address => Head) private heads;
    /// Every root that was accepted, by audit address and size; zero where there was none.
    mapping(address => mapping(uint64 => bytes32)) public rootAt;

    event CheckpointAccepted(address indexed audit, uint64 size, bytes32 root);
    /// Proof that a log has two histories: `signature` is the audit address' over `claimed`, which
    /// is not the root accepted for that size.
    event Equivocation(
        address indexed audit,
        uint64 size,
        bytes32 accepted,
        bytes32 claimed,
        bytes signature
    );

    error InvalidSignature();
    /// `size` is not above what was accepted before.
    error NotLarger(uint64 size, uint64 accepted);
    /// The proof does not lead from the accepted root to the new one.
    error NotConsistent(uint64 accepted, uint64 size);

    /// Accepts a larger head of a log. `signature`: r, s, v (65 bytes; s in the low half, v 27 or
    /// 28). `proof`: from the accepted size to `size`; empty for a log's first head.
    ///
    /// A validly signed other root for an accepted size is proof of a fork. It is recorded and not
    /// reverted, because a revert would take the event, which is the evidence, back with it.
    function submit(
        address audit,
        uint64 size,
        bytes32 root,
        bytes calldata signature,
        bytes32[] calldata proof
    ) external {
        if (!signedBy(audit, size, root, signature)) revert InvalidSignature();
        Head storage head = heads[audit];
        uint64 accepted = head.size;
        if (size <= accepted) {
            bytes32 known = rootAt[audit][size];
            if (known == 0 || known == root) revert NotLarger(size, accepted);
            head.equivocated = true;
            emit Equivocation(audit, size, known, root, signature);
            return;
        }
        if (!consistent(accepted, size, accepted == 0 ? bytes32(0) : rootAt[audit][accepted], root, proof)) {
            revert NotConsistent(accepted, size);
        }
        head.size = size;
        head.blockNumber = uint64(block.number);
        head.timestamp = uint64(block.timestamp);
        rootAt[audit][size] = root;
        emit CheckpointAccepted(audit, size, root);
    }

    /// The largest head accepted, and when; size 0 when there is none.
    function latest(address audit)
        external
        view
        returns (
            uint64 size,
            bytes32 root,
            uint64 blockNumber,
            uint64 timestamp,
            bool equivocated
        )
    {
        Head storage head = heads[audit];
        return (head.size, rootAt[audit][head.size], head.blockNumber, head.timestamp, head.equivocated);
    }

    /// Whether the leaf is at `index` in the log as it was accepted at `size` (0: the latest). False
    /// for a size that was not accepted. Contracts that act on it ask `latest` for `equivocated` too.
    function verifyInclusion(
        address audit,
        uint64 size,
        uint64 index,
        bytes calldata leaf,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return verifyInclusionOfHash(audit, size, index, sha256(abi.encodePacked(bytes1(0), leaf)), proof);
    }

    /// The same with the leaf's hash, SHA-256(0x00 | leaf). For whoever made that hash: a hash out
    /// of somebody else's mouth says nothing about what the leaf is.
    function verifyInclusionOfHash(
        address audit,
        uint64 size,
        uint64 index,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) public view returns (bool) {
        if (size == 0) size = heads[audit].size;
        bytes32 root = rootAt[audit][size];
        if (root == 0 || index >= size) return false;
        // RFC 9162, 2.1.3.2.
        uint64 node = index;
        uint64 last = size - 1;
        bytes32 hash = leafHash;
        for (uint256 i = 0; i < proof.length; ++i) {
            if (last == 0) return false;
            if (node & 1 == 1 || node == last) {
                hash = nodeHash(proof[i], hash);
                while (node & 1 == 0 && node != 0) {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = nodeHash(hash, proof[i]);
            }
            node >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }

    /// Whether the tree of `second` leaves begins with the one of `first` (RFC 9162, 2.1.4.2), for
    /// first < second. Everything begins with the empty tree, and that needs no proof.
    function consistent(
        uint64 first,
        uint64 second,
        bytes32 firstRoot,
        bytes32 secondRoot,
        bytes32[] calldata proof
    ) private pure returns (bool) {
        if (first == 0) return proof.length == 0;
        bool complete = first & (first - 1) == 0;
        if (!complete && proof.length == 0) return false;
        bytes32 oldHash = complete ? firstRoot : proof[0];
        bytes32 newHash = oldHash;
        uint64 node = first - 1;
        uint64 last = second - 1;
        while (node & 1 == 1) {
            node >>= 1;
            last >>= 1;
        }
        for (uint256 i = complete ? 0 : 1; i < proof.length; ++i) {
            if (last == 0) return false;
            if (node & 1 == 1 || node == last) {
                oldHash = nodeHash(proof[i], oldHash);
                newHash = nodeHash(proof[i], newHash);
                while (node & 1 == 0 && node != 0) {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                newHash = nodeHash(newHash, proof[i]);
            }
            node >>= 1;
            last >>= 1;
        }
        return last == 0 && oldHash == firstRoot && newHash == secondRoot;
    }

    function signedBy(
        address audit,
        uint64 size,
        bytes32 root,
        bytes calldata signature
    ) private view returns (bool) {
        if (signature.length != 65 || audit == address(0)) return false;
        bytes32 s = bytes32(signature[32:64]);
        // The high half would give every signature a twin (EIP-2).
        if (uint256(s) > 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0) return false;
        bytes32 digest = keccak256(
            abi.encodePacked("coffer-audit:checkpoint:v1", audit, size, root, block.chainid, address(this))
        );
        bytes32 message = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", digest));
        // Any v but 27 and 28 recovers the zero address.
        return ecrecover(message, uint8(signature[64]), bytes32(signature[:32]), s) == audit;
    }

    function nodeHash(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }
}
