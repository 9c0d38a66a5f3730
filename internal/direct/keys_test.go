package direct

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// newTestKeys are those of a secret, which follow one another after so many records.
func newTestKeys(t testing.TB, secret byte, perKey uint64) *keys {
	t.Helper()
	k, err := newKeys(bytes.Repeat([]byte{secret}, secretBytes), perKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What is sealed with one record's key and nonce opens with no other's.
func TestKeys(t *testing.T) {
	const perKey, records = 3, 10
	type sealed struct{ nonce, text, secret string }
	var all []sealed
	for _, secret := range []byte{1, 2} {
		k := newTestKeys(t, secret, perKey)
		for range records {
			nonce, err := k.next()
			if err != nil {
				t.Fatal(err)
			}
			s := sealed{string(nonce), string(k.aead.Seal(nil, nonce, []byte("text"), nil)), string(k.secret)}
			for _, other := range all {
				if s.nonce == other.nonce || s.text == other.text || s.nonce[:4] == "\x00\x00\x00\x00" {
					t.Errorf("record %d of secret %d has the nonce %x and is sealed as %x, and an other one %x and %x",
						k.number-1, secret, s.nonce, s.text, other.nonce, other.text)
				}
			}
			all = append(all, s)
		}
	}
	for i, s := range all[1:records] {
		if same := s.secret == all[i].secret; same != ((i+1)%perKey != 0) {
			t.Errorf("record %d has the secret of the one before: %t", i+1, same)
		}
	}
}

// Keys are taken from nothing less than TLS 1.3 with AES.
func TestExportKeys(t *testing.T) {
	_, plain, _ := insecure.NewCredentials().ServerHandshake(nil)
	state := func(version, suite uint16) credentials.AuthInfo {
		return credentials.TLSInfo{State: tls.ConnectionState{Version: version, CipherSuite: suite}}
	}
	for want, info := range map[string]credentials.AuthInfo{
		"there is no TLS":         plain,
		"it speaks TLS 1.2":       state(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
		"no instructions for AES": state(tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256),
	} {
		if _, err := exportKeys(info, dialler); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
