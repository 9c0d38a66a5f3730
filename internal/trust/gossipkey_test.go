package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"testing"
)

func TestGossipKeys(t *testing.T) {
	short, long := bytes.Repeat([]byte{0xa1}, 16), bytes.Repeat([]byte{0xb2}, 32)
	base, hexed := base64.StdEncoding.EncodeToString(long), hex.EncodeToString(short)
	for name, test := range map[string]struct {
		text string
		want [][]byte
	}{
		"base64":      {base + "\n", [][]byte{long}},
		"hex":         {hexed, [][]byte{short}},
		"two":         {base + "\n" + hexed + "\r\n", [][]byte{long, short}},
		"bytes":       {string(long), [][]byte{long}},
		"blank bytes": {"\n" + string(short[1:]), [][]byte{append([]byte("\n"), short[1:]...)}},
	} {
		got, err := LoadGossipKeys(write(t, test.text))
		if err != nil || len(got) != len(test.want) {
			t.Errorf("%s: %x, %v", name, got, err)
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], test.want[i]) {
				t.Errorf("%s: key %d is %x, want %x", name, i, got[i], test.want[i])
			}
		}
	}
	for _, bad := range []string{"", "x", hexed[2:], base + "\nx", string(bytes.Repeat([]byte(base+"\n"), 9))} {
		_, err := LoadGossipKeys(write(t, bad))
		wantError(t, err, "--gossip-key-file")
	}
}

func FuzzGossipKeys(f *testing.F) {
	f.Add([]byte("00112233445566778899aabbccddeeff\n"))
	f.Add(bytes.Repeat([]byte{1}, 24))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseGossipKeys(data)
		if err == nil && (len(keys) == 0 || len(keys) > maxGossipKeys) {
			t.Errorf("%d keys", len(keys))
		}
		for _, k := range keys {
			if !keySize(len(k)) {
				t.Errorf("a key of %d bytes", len(k))
			}
		}
	})
}
