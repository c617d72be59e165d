// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.9;

// What the payment contracts ask of each other. Each function is described where it is written.

interface IController {
    function owner() external view returns (address);

    function paused() external view returns (bool);

    function getContract(bytes32 id) external view returns (address);
}

interface IRoundsManager {
    function currentRound() external view returns (uint256);

    function currentRoundInitialized() external view returns (bool);

    function blockHashForRound(uint256 round) external view returns (bytes32);
}

interface IBondingManager {
    function isRegisteredTranscoder(address transcoder) external view returns (bool);

    function transcoderPoolSize() external view returns (uint256);

    function updateTranscoderWithFees(
        address transcoder,
        uint256 amount,
        uint256 creationRound
    ) external;
}

interface IMinter {
    function depositETH() external payable;

    function withdrawETH(address payable to, uint256 amount) external;
}
