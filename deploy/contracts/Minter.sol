// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

import "./Managed.sol";

/// Holds the ether of all deposits and reserves; the broker keeps the accounts.
contract Minter is Managed {
    event Deposited(address indexed from, uint256 amount);
    event Withdrawn(address indexed to, uint256 amount);

    modifier onlyTicketBrokerOrBondingManager() {
        require(
            msg.sender == controller.getContract(keccak256("TicketBroker")) ||
                msg.sender == controller.getContract(keccak256("BondingManager")),
            "caller must be TicketBroker or BondingManager"
        );
        _;
    }

    constructor(address controllerAddress) Managed(controllerAddress) {}

    function depositETH() external payable onlyTicketBroker {
        emit Deposited(msg.sender, msg.value);
    }

    function withdrawETH(
        address payable to,
        uint256 amount
    ) external onlyTicketBrokerOrBondingManager whenSystemNotPaused {
        emit Withdrawn(to, amount);
        (bool sent, ) = to.call{value: amount}("");
        require(sent, "sending ether failed");
    }
}
