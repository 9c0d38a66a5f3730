package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc/metadata"
)

// token is a secret that all processes of a cluster share.
type token []byte

// tokenKey is the metadata that carries it; gRPC encodes keys that end so.
const tokenKey = "parallax-join-token-bin"

// Bounds of a token: a shorter one can be guessed, and headers are limited.
const (
	minToken = 16
	maxToken = 1024
)

func loadToken(path string) (token, error) {
	text, err := readSecret("join-token", path)
	if err != nil {
		return nil, err
	}
	secret := strings.TrimSpace(string(text))
	if len(secret) < minToken || len(secret) > maxToken {
		return nil, fmt.Errorf("--join-token-file %s holds a token of %d bytes, want %d to %d; make one with: parallax certs join-token > FILE", path, len(secret), minToken, maxToken)
	}
	return token(secret), nil
}

// readSecret reads a small file that parallax certs has made by the command of that
// name, and is not empty. Errors say how to make one.
func readSecret(command, path string) ([]byte, error) {
	flag := "--" + command + "-file"
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; make one with: parallax certs %s > FILE", flag, err, command)
	}
	const most = 1 << 16
	if info.Size() > most || !info.Mode().IsRegular() && path != os.DevNull {
		return nil, fmt.Errorf("%s %s is no file of at most %d bytes", flag, path, most)
	}
	text, err := os.ReadFile(path)
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = fmt.Errorf("%s %s holds no %s; make one with: parallax certs %s > FILE", flag, path, strings.Replace(command, "-", " ", 1), command)
	}
	return text, err
}

// tokenFlaw is why a call is refused, for who calls and for who reads our log.
type tokenFlaw struct{ told, logged string }

// check says why a call with that metadata is refused, if it is. The time it takes
// tells nothing about the token.
func (t token) check(ctx context.Context) *tokenFlaw {
	if t == nil {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	shown := md.Get(tokenKey)
	if len(shown) != 1 {
		return &tokenFlaw{
			told:   "no join token was shown: give a copy of the coordinator's with --join-token-file",
			logged: "it shows no join token: it needs --join-token-file with a copy of ours",
		}
	}
	got, want := sha256.Sum256([]byte(shown[0])), sha256.Sum256(t)
	if subtle.ConstantTimeCompare(got[:], want[:]) == 0 {
		return &tokenFlaw{
			told:   "another join token was shown: --join-token-file must be a copy of the coordinator's",
			logged: "it shows another join token: its --join-token-file must be a copy of ours",
		}
	}
	return nil
}

// perCall sends a token with every call.
type perCall struct {
	token  token
	secure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (p perCall) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{tokenKey: string(p.token)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. Where there
// is no TLS, CheckAddress has seen to it that the call stays on this host.
func (p perCall) RequireTransportSecurity() bool { return p.secure }
