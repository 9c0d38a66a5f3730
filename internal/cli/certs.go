package cli

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/certs"
)

func certsCommand() *cobra.Command {
	return group("certs", "Make certificates, join tokens and gossip keys for a cluster",
		certsInitCommand(), certsIssueCommand(),
		secretCommand("join-token", "Print a new secret for --join-token-file"),
		secretCommand("gossip-key", "Print a new key for --gossip-key-file"))
}

func certsInitCommand() *cobra.Command {
	var name string
	var days int
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Make an authority that signs a cluster's certificates",
		Long: `init makes an authority's certificate, DIR/ca.pem, and its key, DIR/ca.key. Whoever
has the key can let anybody in: keep it off the cluster. Files that are there
already are never overwritten.`,
		Example: "  parallax certs init pki",
		Args:    exactly("the authority's folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := certs.Init(args[0], name, days)
			if err != nil {
				return usageError("%w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), `%[1]s  every process trusts it, until %[2]s; each issued folder holds a copy
%[3]s  signs certificates; keep it here, and copy it nowhere

next, a folder of files for each process:
  parallax certs issue %[4]s coordinator HOST...
  parallax certs issue %[4]s node NAME
  parallax certs issue %[4]s person NAME
`,
				filepath.Join(args[0], "ca.pem"), a.Until().Format(time.DateOnly), filepath.Join(args[0], "ca.key"), args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "Parallax development authority", "the authority's `name`, for people")
	cmd.Flags().IntVar(&days, "days", certs.AuthorityDays, "how many days it lasts")
	return cmd
}

func certsIssueCommand() *cobra.Command {
	days := certs.IssuedDays
	cmd := &cobra.Command{
		Use:   "issue DIR coordinator|node|person NAME...",
		Short: "Make a certificate and its key, signed by the authority in DIR",
		Long: `issue writes DIR/NAME/ca.pem, cert.pem and key.pem, all that one process needs, and
never overwrites them. NAMEs are:

  coordinator  hosts and IP addresses by which nodes and people reach it; the files
               lie in DIR/coordinator
  node         the node's --name (the host's name, unless it is given), then more
               names: of other nodes that share the host, or of a coordinator on it
  person       one name

A person's certificate can submit, follow and stop runs, but not train.`,
		Example: `  parallax certs issue pki coordinator head.cluster 10.0.0.1
  parallax certs issue pki node gpu07
  parallax certs issue pki person ann --days 90`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 3 {
				return wrongArgs(cmd, "at least three arguments, the authority's folder, a role and a name", args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return issueCertificate(cmd, args[0], request(certs.Role(args[1]), args[2:], days))
		},
	}
	cmd.Flags().IntVar(&days, "days", days, "how many days it lasts")
	return cmd
}

// request puts the arguments of issue in their places.
func request(role certs.Role, names []string, days int) certs.Request {
	if role == certs.Coordinator {
		return certs.Request{Role: role, Name: string(role), Hosts: names, Days: days}
	}
	return certs.Request{Role: role, Name: names[0], Hosts: names[1:], Days: days}
}

func issueCertificate(cmd *cobra.Command, dir string, r certs.Request) error {
	authority, err := certs.Open(dir)
	if err != nil {
		return usageError("%w", err)
	}
	files, err := authority.Issue(r)
	if err != nil {
		return usageError("%w", err)
	}
	names, where, command := append([]string{r.Name}, r.Hosts...), "the host of node "+r.Name, "node --name "+r.Name
	switch r.Role {
	case certs.Coordinator:
		names, where, command = r.Hosts, r.Hosts[0], "coordinator"
	case certs.Person:
		where, command = r.Name, "parallax train"
	}
	fmt.Fprintf(cmd.OutOrStdout(), `%[1]s  for %[2]s, at most %[3]d days

copy it to %[4]s, as DIR, where nobody else can read key.pem, and start
  %[5]s --tls-ca DIR/ca.pem --tls-cert DIR/cert.pem --tls-key DIR/key.pem
`,
		filepath.Dir(files.Key), strings.Join(names, ", "), r.Days, where, command)
	return nil
}

// secretCommand prints a new secret.
func secretCommand(name, short string) *cobra.Command {
	return &cobra.Command{
		Use:     name,
		Short:   short,
		Example: fmt.Sprintf("  (umask 077; parallax certs %[1]s > %[1]s)", name),
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), newSecret())
			return err
		},
	}
}

// newSecret is 32 random bytes as text.
func newSecret() string {
	secret := make([]byte, 32)
	rand.Read(secret)
	return base64.StdEncoding.EncodeToString(secret)
}
