// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

import "./SenderFunds.sol";
import "./TicketSignature.sol";

/// Redeems winning tickets against their sender's deposit and reserve.
///
/// Written for local chains, to the interface and behaviour of the broker that is deployed on real
/// ones; a payer must not be able to tell them apart by selectors, events, revert reasons or
/// amounts. The recipient's payment is a credit of fees in the BondingManager.
contract TicketBroker is SenderFunds {
    struct Ticket {
        address recipient;
        address sender;
        uint256 faceValue;
        uint256 winProb;
        uint256 senderNonce;
        bytes32 recipientRandHash;
        /// Exactly 64 bytes: creation round, then the block hash recorded for that round.
        bytes auxData;
    }

    /// Tickets that can pay no more, by ticket hash.
    mapping(bytes32 => bool) public usedTickets;

    /// Rounds in which a ticket is valid, its creation round included.
    uint256 public ticketValidityPeriod;

    /// Says what was paid; absent when that was nothing.
    event WinningTicketTransfer(address indexed sender, address indexed recipient, uint256 amount);

    /// Says that the ticket is used up, whatever it paid.
    event WinningTicketRedeemed(
        address indexed sender,
        address indexed recipient,
        uint256 faceValue,
        uint256 winProb,
        uint256 senderNonce,
        uint256 recipientRand,
        bytes auxData
    );

    constructor(
        address controllerAddress,
        uint256 validityPeriod,
        uint256 unlockRounds
    ) Managed(controllerAddress) {
        require(validityPeriod > 0, "ticketValidityPeriod must be greater than 0");
        ticketValidityPeriod = validityPeriod;
        unlockPeriod = unlockRounds;
    }

    function setTicketValidityPeriod(uint256 rounds) external onlyControllerOwner {
        require(rounds > 0, "ticketValidityPeriod must be greater than 0");
        ticketValidityPeriod = rounds;
    }

    /// Pays a ticket; anybody who has it and its signature may ask. With too small a deposit it
    /// pays what deposit and claimable reserve give, perhaps nothing, and the ticket is used all
    /// the same.
    function redeemWinningTicket(
        Ticket calldata ticket,
        bytes calldata sig,
        uint256 recipientRand
    ) external whenSystemNotPaused whenRoundInitialized {
        bytes32 ticketHash = hashOf(ticket);
        requireWinningTicket(ticket, ticketHash, sig, recipientRand);
        requireLockedFunds(ticket.sender);
        usedTickets[ticketHash] = true;

        uint256 amount = takeFunds(ticket);
        if (amount > 0) {
            uint256 creationRound = uint256(bytes32(ticket.auxData[0:32]));
            bondingManager().updateTranscoderWithFees(ticket.recipient, amount, creationRound);
            emit WinningTicketTransfer(ticket.sender, ticket.recipient, amount);
        }
        emit WinningTicketRedeemed(
            ticket.sender,
            ticket.recipient,
            ticket.faceValue,
            ticket.winProb,
            ticket.senderNonce,
            recipientRand,
            ticket.auxData
        );
    }

    /// Redeems each ticket in a call of its own and goes on whatever becomes of it: a ticket that
    /// fails leaves no event and no revert. Arrays of different lengths revert with Panic 0x32.
    function batchRedeemWinningTickets(
        Ticket[] calldata tickets,
        bytes[] calldata sigs,
        uint256[] calldata recipientRands
    ) external whenSystemNotPaused whenRoundInitialized {
        uint256 count = longest(tickets.length, sigs.length, recipientRands.length);
        for (uint256 i = 0; i < count; i++) {
            // Indexing beyond the end of a shorter array is what raises the panic.
            try this.redeemWinningTicket(tickets[i], sigs[i], recipientRands[i]) {} catch {}
        }
    }

    function requireWinningTicket(
        Ticket calldata ticket,
        bytes32 ticketHash,
        bytes calldata sig,
        uint256 recipientRand
    ) private view {
        require(ticket.recipient != address(0), "ticket recipient is null address");
        require(ticket.sender != address(0), "ticket sender is null address");
        requireValidAuxData(ticket.auxData);
        require(
            keccak256(abi.encodePacked(recipientRand)) == ticket.recipientRandHash,
            "recipientRand does not match recipientRandHash"
        );
        require(!usedTickets[ticketHash], "ticket is used");
        require(
            TicketSignature.signer(ticketHash, sig) == ticket.sender,
            "invalid signature over ticket hash"
        );
        require(
            uint256(keccak256(abi.encodePacked(sig, recipientRand))) < ticket.winProb,
            "ticket did not win"
        );
    }

    function requireValidAuxData(bytes calldata auxData) private view {
        require(auxData.length == 64, "invalid length for ticket auxData: must be 64 bytes");
        uint256 creationRound = uint256(bytes32(auxData[0:32]));
        bytes32 creationRoundBlockHash = bytes32(auxData[32:64]);
        IRoundsManager rounds = roundsManager();
        bytes32 blockHash = rounds.blockHashForRound(creationRound);
        require(blockHash != bytes32(0), "ticket creationRound does not have a block hash");
        require(
            creationRoundBlockHash == blockHash,
            "ticket creationRoundBlockHash invalid for creationRound"
        );
        require(creationRound + ticketValidityPeriod > rounds.currentRound(), "ticket is expired");
    }

    function requireLockedFunds(address senderAddress) private view {
        uint256 withdrawRound = senders[senderAddress].withdrawRound;
        require(
            withdrawRound == 0 || roundsManager().currentRound() < withdrawRound,
            "sender is unlocked"
        );
        require(hasFunds(senderAddress), "sender deposit and reserve are zero");
    }

    /// Takes what the ticket can get: its face value, or the whole deposit and what the reserve
    /// adds.
    function takeFunds(Ticket calldata ticket) private returns (uint256) {
        Sender storage sender = senders[ticket.sender];
        uint256 deposit = sender.deposit;
        if (ticket.faceValue <= deposit) {
            sender.deposit = deposit - ticket.faceValue;
            return ticket.faceValue;
        }
        sender.deposit = 0;
        return
            deposit + claimFromReserve(ticket.sender, ticket.recipient, ticket.faceValue - deposit);
    }

    function hashOf(Ticket calldata ticket) private pure returns (bytes32) {
        return
            keccak256(
                abi.encodePacked(
                    ticket.recipient,
                    ticket.sender,
                    ticket.faceValue,
                    ticket.winProb,
                    ticket.senderNonce,
                    ticket.recipientRandHash,
                    ticket.auxData
                )
            );
    }

    function longest(uint256 a, uint256 b, uint256 c) private pure returns (uint256) {
        uint256 ab = a > b ? a : b;
        return ab > c ? ab : c;
    }
}
