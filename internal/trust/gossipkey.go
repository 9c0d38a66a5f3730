package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// maxGossipKeys bounds how many keys are understood at once: while they are
// changed there are two.
const maxGossipKeys = 8

// LoadGossipKeys reads the keys of the gossip cluster: one in each line, in
// base64 or hex, or a file that is nothing but the bytes of one. What we say is
// encrypted with the first, and all of them are understood.
//
// To change a key while members come and go: first append the new one
// everywhere, then move it to the front, then remove the old one.
func LoadGossipKeys(path string) ([][]byte, error) {
	data, err := readSecret("gossip-key", path)
	if err != nil {
		return nil, err
	}
	keys, err := parseGossipKeys(data)
	if err != nil {
		return nil, fmt.Errorf("--gossip-key-file %s: %w; make one with: parallax certs gossip-key > FILE", path, err)
	}
	return keys, nil
}

func parseGossipKeys(data []byte) (keys [][]byte, err error) {
	for i, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		key := decodeKey(string(bytes.TrimSpace(line)))
		switch {
		case key == nil && keySize(len(data)):
			return [][]byte{data}, nil
		case key == nil:
			return nil, fmt.Errorf("line %d is no key of 16, 24 or 32 bytes in base64 or hex", i+1)
		case len(keys) == maxGossipKeys:
			return nil, fmt.Errorf("more than %d keys", maxGossipKeys)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func keySize(n int) bool { return n == 16 || n == 24 || n == 32 }

// decodeKey reads hex before base64, to which it would look the same.
func decodeKey(text string) []byte {
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString} {
		if key, err := decode(text); err == nil && keySize(len(key)) {
			return key
		}
	}
	return nil
}
