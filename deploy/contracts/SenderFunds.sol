// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

import "./Managed.sol";

/// What senders have in the broker: a deposit, a reserve, and perhaps an unlock on its way.
///
/// Amounts are wei. The ether itself lies in the Minter.
abstract contract SenderFunds is Managed {
    struct Sender {
        uint256 deposit;
        /// The round from which the sender may withdraw and no ticket of it pays; 0: no unlock in
        /// progress.
        uint256 withdrawRound;
    }

    struct ReserveInfo {
        uint256 fundsRemaining;
        uint256 claimedInCurrentRound;
    }

    struct Reserve {
        uint256 funds;
        mapping(uint256 => uint256) claimedForRound;
        mapping(uint256 => mapping(address => uint256)) claimedByAddress;
    }

    /// Rounds between unlock and withdraw.
    uint256 public unlockPeriod;

    mapping(address => Sender) internal senders;
    mapping(address => Reserve) internal reserves;

    event DepositFunded(address indexed sender, uint256 amount);
    event ReserveFunded(address indexed reserveHolder, uint256 amount);
    event ReserveClaimed(address indexed reserveHolder, address claimant, uint256 amount);
    event Unlock(address indexed sender, uint256 startRound, uint256 endRound);
    event UnlockCancelled(address indexed sender);
    event Withdrawal(address indexed sender, uint256 deposit, uint256 reserve);

    /// Adds to the caller's deposit. Funding a deposit ends an unlock in progress.
    function fundDeposit() external payable whenSystemNotPaused {
        addDeposit(msg.value);
        minter().depositETH{value: msg.value}();
    }

    function fundReserve() external payable whenSystemNotPaused {
        addReserve(msg.value);
        minter().depositETH{value: msg.value}();
    }

    function fundDepositAndReserve(
        uint256 depositAmount,
        uint256 reserveAmount
    ) external payable whenSystemNotPaused {
        require(
            msg.value == depositAmount + reserveAmount,
            "msg.value does not equal sum of deposit amount and reserve amount"
        );
        addDeposit(depositAmount);
        addReserve(reserveAmount);
        minter().depositETH{value: msg.value}();
    }

    /// Begins the wait of unlockPeriod rounds after which the caller may withdraw all it has.
    function unlock() external whenSystemNotPaused {
        Sender storage sender = senders[msg.sender];
        require(hasFunds(msg.sender), "sender deposit and reserve are zero");
        require(sender.withdrawRound == 0, "unlock already initiated");
        uint256 round = roundsManager().currentRound();
        sender.withdrawRound = round + unlockPeriod;
        emit Unlock(msg.sender, round, sender.withdrawRound);
    }

    function withdraw() external whenSystemNotPaused {
        Sender storage sender = senders[msg.sender];
        require(hasFunds(msg.sender), "sender deposit and reserve are zero");
        require(sender.withdrawRound > 0, "no unlock request in progress");
        require(roundsManager().currentRound() >= sender.withdrawRound, "account is locked");
        uint256 deposit = sender.deposit;
        uint256 reserve = reserves[msg.sender].funds;
        delete senders[msg.sender];
        reserves[msg.sender].funds = 0;
        emit Withdrawal(msg.sender, deposit, reserve);
        minter().withdrawETH(payable(msg.sender), deposit + reserve);
    }

    function setUnlockPeriod(uint256 rounds) external onlyControllerOwner {
        unlockPeriod = rounds;
    }

    function getSenderInfo(
        address senderAddress
    ) external view returns (Sender memory sender, ReserveInfo memory reserve) {
        sender = senders[senderAddress];
        Reserve storage held = reserves[senderAddress];
        reserve.fundsRemaining = held.funds;
        reserve.claimedInCurrentRound = held.claimedForRound[roundsManager().currentRound()];
    }

    function isUnlockInProgress(address senderAddress) public view returns (bool) {
        return senders[senderAddress].withdrawRound > 0;
    }

    /// What `claimant` may still take from the reserve in this round: its equal share among the
    /// registered transcoders of what the reserve held when the round's claims began, less what it
    /// took already.
    function claimableReserve(
        address reserveHolder,
        address claimant
    ) public view returns (uint256) {
        IBondingManager bonding = bondingManager();
        if (!bonding.isRegisteredTranscoder(claimant)) {
            return 0;
        }
        uint256 round = roundsManager().currentRound();
        Reserve storage reserve = reserves[reserveHolder];
        uint256 share = (reserve.funds + reserve.claimedForRound[round]) /
            bonding.transcoderPoolSize();
        uint256 taken = reserve.claimedByAddress[round][claimant];
        // The pool may have grown since the claim, which shrinks the share below what was taken.
        return share > taken ? share - taken : 0;
    }

    /// Takes up to `wanted` wei for `claimant` and says how much that was.
    function claimFromReserve(
        address reserveHolder,
        address claimant,
        uint256 wanted
    ) internal returns (uint256 claimed) {
        uint256 claimable = claimableReserve(reserveHolder, claimant);
        claimed = wanted < claimable ? wanted : claimable;
        Reserve storage reserve = reserves[reserveHolder];
        // Whoever joins the pool within the round has a share of what others took already.
        claimed = claimed < reserve.funds ? claimed : reserve.funds;
        if (claimed > 0) {
            uint256 round = roundsManager().currentRound();
            reserve.funds -= claimed;
            reserve.claimedForRound[round] += claimed;
            reserve.claimedByAddress[round][claimant] += claimed;
            emit ReserveClaimed(reserveHolder, claimant, claimed);
        }
    }

    function hasFunds(address senderAddress) internal view returns (bool) {
        return senders[senderAddress].deposit > 0 || reserves[senderAddress].funds > 0;
    }

    function addDeposit(uint256 amount) private {
        Sender storage sender = senders[msg.sender];
        sender.deposit += amount;
        if (sender.withdrawRound > 0) {
            sender.withdrawRound = 0;
            emit UnlockCancelled(msg.sender);
        }
        emit DepositFunded(msg.sender, amount);
    }

    function addReserve(uint256 amount) private {
        reserves[msg.sender].funds += amount;
        emit ReserveFunded(msg.sender, amount);
    }
}
