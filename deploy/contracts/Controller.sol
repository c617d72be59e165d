// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

/// The directory of the payment contracts: names to addresses, and the switch that pauses the
/// system.
///
/// A name's id is keccak256 of its text, for example keccak256("TicketBroker"). The account that
/// deploys owns the directory; the owner of the directory is also the owner of every Managed
/// contract.
contract Controller {
    address public owner;

    /// True while payments are stopped; see Managed.whenSystemNotPaused.
    bool public paused;

    mapping(bytes32 => address) private contracts;

    event SetContract(bytes32 indexed id, address contractAddress);
    event Paused();
    event Unpaused();
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    modifier onlyOwner() {
        require(msg.sender == owner, "caller must be the owner");
        _;
    }

    constructor() {
        owner = msg.sender;
    }

    function getContract(bytes32 id) external view returns (address) {
        return contracts[id];
    }

    function setContract(bytes32 id, address contractAddress) external onlyOwner {
        contracts[id] = contractAddress;
        emit SetContract(id, contractAddress);
    }

    function pause() external onlyOwner {
        require(!paused, "system is paused");
        paused = true;
        emit Paused();
    }

    function unpause() external onlyOwner {
        require(paused, "system is not paused");
        paused = false;
        emit Unpaused();
    }

    function transferOwnership(address newOwner) external onlyOwner {
        require(newOwner != address(0), "new owner is null address");
        emit OwnershipTransferred(owner, newOwner);
        owner = newOwner;
    }
}
