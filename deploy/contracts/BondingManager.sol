// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

import "./Managed.sol";

/// Where redeemed tickets end: registered transcoders and the fees credited to each, in wei.
///
/// It stands in for the real BondingManager, of which a payer sees only this much. As there, a
/// redemption moves no ether to the recipient: the fees stay credited here and the ether in the
/// Minter. With `forwardFees` on (off as deployed) the credited ether is also sent to the recipient
/// at once, for trials in which somebody watches plain balances; what is credited is the same
/// either way.
contract BondingManager is Managed {
    /// Wei credited to each recipient since deployment.
    mapping(address => uint256) public feesCredited;

    /// Wei credited to all recipients together; always the sum of feesCredited.
    uint256 public totalFeesCredited;

    mapping(address => bool) public isRegisteredTranscoder;

    /// Registered transcoders: the divisor of a reserve (TicketBroker.claimableReserve).
    uint256 public transcoderPoolSize;

    bool public forwardFees;

    event TranscoderRegistered(address indexed transcoder);
    event TranscoderFeesCredited(
        address indexed transcoder,
        uint256 amount,
        uint256 indexed creationRound
    );

    constructor(address controllerAddress) Managed(controllerAddress) {}

    /// Registering twice changes nothing, so that a list may be sent again after a lost answer.
    function register(address transcoder) external onlyControllerOwner {
        add(transcoder);
    }

    function registerMany(address[] calldata transcoders) external onlyControllerOwner {
        for (uint256 i = 0; i < transcoders.length; i++) {
            add(transcoders[i]);
        }
    }

    function setForwardFees(bool forward) external onlyControllerOwner {
        forwardFees = forward;
    }

    /// Credits `amount` wei to `transcoder` for a ticket made in `creationRound`.
    function updateTranscoderWithFees(
        address transcoder,
        uint256 amount,
        uint256 creationRound
    ) external onlyTicketBroker whenSystemNotPaused {
        require(isRegisteredTranscoder[transcoder], "transcoder must be registered");
        feesCredited[transcoder] += amount;
        totalFeesCredited += amount;
        emit TranscoderFeesCredited(transcoder, amount, creationRound);
        if (forwardFees) {
            minter().withdrawETH(payable(transcoder), amount);
        }
    }

    /// Fees of many recipients in one call, in the order asked.
    function feesCreditedMany(
        address[] calldata recipients
    ) external view returns (uint256[] memory fees) {
        fees = new uint256[](recipients.length);
        for (uint256 i = 0; i < recipients.length; i++) {
            fees[i] = feesCredited[recipients[i]];
        }
    }

    function add(address transcoder) private {
        require(transcoder != address(0), "transcoder is null address");
        if (!isRegisteredTranscoder[transcoder]) {
            isRegisteredTranscoder[transcoder] = true;
            transcoderPoolSize++;
            emit TranscoderRegistered(transcoder);
        }
    }
}
