"""The vocabulary that training, the gateway and the model server share: pure, numpy alone, no network."""
