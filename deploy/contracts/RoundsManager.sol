// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

import "./Managed.sol";

/// The clock of the payment contracts: rounds, and the block hash that a ticket's creation round is
/// checked with.
///
/// Two ways to move it. With a round length of 0 (as deployed) the owner says which round it is:
/// `setRound`, `advanceRound`. With a length of n blocks a round lasts n blocks from the block in
/// which the length was set, and every new round must be initialized by somebody, as on the real
/// chain: until then `currentRoundInitialized` is false and the broker redeems nothing.
contract RoundsManager is Managed {
    /// Blocks in a round; 0: the owner moves the round.
    uint256 public roundLength;

    /// The newest round for which initializeRound (or setRound, advanceRound) ran.
    uint256 public lastInitializedRound;

    /// The block hash recorded when a round was initialized; 0 for a round that never was.
    mapping(uint256 => bytes32) public blockHashForRound;

    /// The round that began at block `baseBlock`; rounds are counted from there.
    uint256 private baseRound;
    uint256 private baseBlock;

    event NewRound(uint256 indexed round, bytes32 blockHash);
    event RoundLengthSet(uint256 roundLength);

    constructor(address controllerAddress, uint256 firstRound) Managed(controllerAddress) {
        baseRound = firstRound;
        baseBlock = block.number;
        initialize(firstRound);
    }

    function currentRound() public view returns (uint256) {
        if (roundLength == 0) {
            return baseRound;
        }
        return baseRound + (block.number - baseBlock) / roundLength;
    }

    function currentRoundInitialized() external view returns (bool) {
        return lastInitializedRound == currentRound();
    }

    /// Anybody may start a round that has begun by its number.
    function initializeRound() external whenSystemNotPaused {
        require(lastInitializedRound != currentRound(), "round already initialized");
        initialize(currentRound());
    }

    /// Keeps the current round and counts `blocks` for each one from here on; 0 stops the count.
    function setRoundLength(uint256 blocks) external onlyControllerOwner {
        baseRound = currentRound();
        baseBlock = block.number;
        roundLength = blocks;
        emit RoundLengthSet(blocks);
    }

    /// Makes `round` the current one. Without `initializeIt` it waits for initializeRound.
    function setRound(uint256 round, bool initializeIt) external onlyControllerOwner {
        moveTo(round);
        if (initializeIt) {
            initialize(round);
        }
    }

    /// Begins and initializes the next round.
    function advanceRound() external onlyControllerOwner {
        uint256 next = currentRound() + 1;
        moveTo(next);
        initialize(next);
    }

    function moveTo(uint256 round) private {
        baseRound = round;
        baseBlock = block.number;
    }

    function initialize(uint256 round) private {
        bytes32 blockHash = blockhash(block.number - 1);
        lastInitializedRound = round;
        blockHashForRound[round] = blockHash;
        emit NewRound(round, blockHash);
    }
}
