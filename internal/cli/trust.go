package cli

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// trustFlags say what a process proves itself with, and what it may do without.
type trustFlags struct {
	files    trust.Files
	insecure bool
}

func (f *trustFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.files.TLS.CA, "tls-ca", "", "PEM `file` of the authority whose certificates are accepted; see parallax certs")
	flags.StringVar(&f.files.TLS.Cert, "tls-cert", "", "PEM `file` of this process's certificate")
	flags.StringVar(&f.files.TLS.Key, "tls-key", "", "PEM `file` of its private key")
	flags.StringVar(&f.files.Token, "join-token-file", "", "`file` of the secret that the coordinator wants from all; see parallax certs join-token")
	flags.BoolVar(&f.insecure, "insecure", false, "allow other addresses than loopback without TLS")
}

// addForPeople adds the flags to a command that does not merge its environment as
// the daemons do.
func (f *trustFlags) addForPeople(cmd *cobra.Command) {
	f.add(cmd.Flags())
	cmd.PreRun = func(*cobra.Command, []string) {
		for name, value := range map[string]*string{
			"PARALLAX_TLS_CA": &f.files.TLS.CA, "PARALLAX_TLS_CERT": &f.files.TLS.Cert, "PARALLAX_TLS_KEY": &f.files.TLS.Key,
			"PARALLAX_JOIN_TOKEN_FILE": &f.files.Token,
		} {
			*value = cmp.Or(*value, os.Getenv(name))
		}
	}
}

// load reads the files and warns of what --insecure allows.
func (f *trustFlags) load(command string) (trust.Trust, error) {
	t, err := trust.Load(f.files)
	if err != nil {
		return t, usageError("%w", err)
	}
	if f.insecure && !t.Secure() {
		fmt.Fprintf(os.Stderr, "%s: --insecure: whoever reaches this network can read and change what is trained\n", command)
	}
	return t, nil
}

// dial returns a client of the coordinator at an address, and what ends it.
func (f *trustFlags) dial(cmd *cobra.Command, address string) (pb.CoordinatorClient, func(), error) {
	t, err := f.load(cmd.Name())
	if err != nil {
		return nil, nil, err
	}
	if err := t.CheckAddress("--coordinator", address, f.insecure); err != nil {
		return nil, nil, usageError("%w", err)
	}
	return dialCoordinator(address, t)
}
