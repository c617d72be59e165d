// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

/// The signature of a ticket: 65 bytes r || s || v over the EIP-191 hash of the ticket's hash.
library TicketSignature {
    /// Half the order of secp256k1: a larger s has a twin that signs the same (EIP-2), so it is
    /// refused.
    uint256 private constant HALF_ORDER =
        0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// Who signed `ticketHash`; reverts for bytes that are no canonical signature.
    function signer(
        bytes32 ticketHash,
        bytes calldata signature
    ) internal pure returns (address recovered) {
        require(signature.length == 65, "INVALID_SIGNATURE_LENGTH");
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        uint8 v = uint8(signature[64]);
        require(uint256(s) <= HALF_ORDER, "ECDSA: invalid signature 's' value");
        require(v == 27 || v == 28, "ECDSA: invalid signature 'v' value");
        bytes32 signedHash = keccak256(
            abi.encodePacked("\x19Ethereum Signed Message:\n32", ticketHash)
        );
        recovered = ecrecover(signedHash, v, r, s);
        require(recovered != address(0), "ECDSA: invalid signature");
    }
}
