package direct

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc/credentials"
)

const (
	secretBytes = sha256.Size
	keyBytes    = 16 // AES-128
	nonceBytes  = 12
	tagBytes    = 16
)

// recordsPerKey is how many records one key seals: 2^32 blocks of AES at most, so that
// whoever sees them can tell them from noise with a probability of 2^-65 (section 5.1.1
// of draft-irtf-cfrg-aead-limits). RFC 8446, section 5.5, allows TLS 2^34.5 blocks.
const recordsPerKey = (1 << 36) / recordBytes

// Who writes. It is the exporter's context, so that the two directions have keys of
// their own.
const (
	dialler  = "dialler"
	acceptor = "acceptor"
)

// exporterLabel begins as RFC 5705 has labels begin that are not registered.
const exporterLabel = "EXPERIMENTAL parallax direct"

// exportKeys takes the keys of one direction from a handshake. Both sides get the same,
// and nobody else can.
func exportKeys(info credentials.AuthInfo, writer string) (*keys, error) {
	from, ok := info.(credentials.TLSInfo)
	switch {
	case !ok:
		return nil, errors.New("there is no TLS to take keys from")
	case from.State.Version != tls.VersionTLS13:
		return nil, fmt.Errorf("it speaks %s, and TLS 1.3 is needed", tls.VersionName(from.State.Version))
	case from.State.CipherSuite == tls.TLS_CHACHA20_POLY1305_SHA256:
		return nil, errors.New("one of the two hosts has no instructions for AES")
	}
	secret, err := from.State.ExportKeyingMaterial(exporterLabel, []byte(writer), secretBytes)
	if err != nil {
		return nil, err
	}
	return newKeys(secret, recordsPerKey)
}

// keys seal, or open, the records of one direction. The number of a record is in its
// nonce and is not said, so one that is left out, comes again or changes places does
// not open. After recordsPerKey records follow other keys, as in TLS 1.3.
type keys struct {
	secret []byte // of the keys that follow
	perKey uint64 // recordsPerKey, but for tests
	number uint64 // of the next record
	last   uint64 // the number at which other keys follow
	aead   cipher.AEAD
	iv     []byte
	nonce  [nonceBytes]byte
}

func newKeys(secret []byte, perKey uint64) (*keys, error) {
	k := &keys{secret: secret, perKey: perKey}
	return k, k.follow()
}

// follow makes keys of the secret, and the secret of those after them, which does not
// tell what was before.
func (k *keys) follow() (err error) {
	expand := func(label string, n int) (b []byte) {
		if err == nil {
			b, err = hkdf.Expand(sha256.New, k.secret, "parallax direct "+label, n)
		}
		return b
	}
	key, iv, secret := expand("key", keyBytes), expand("iv", nonceBytes), expand("next", secretBytes)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	clear(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	clear(k.secret)
	k.secret, k.iv, k.aead, k.last = secret, iv, aead, k.number+k.perKey
	return nil
}

// next is the nonce of the next record, and of no other.
func (k *keys) next() ([]byte, error) {
	if k.number == k.last {
		if err := k.follow(); err != nil {
			return nil, err
		}
	}
	copy(k.nonce[:], k.iv)
	low := k.nonce[nonceBytes-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^k.number)
	k.number++
	return k.nonce[:], nil
}
