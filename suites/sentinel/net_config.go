package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

const (
	somaxconn  = "/proc/sys/net/core/somaxconn"
	testPrefix = "\xc6\x33\x64\x00" // 198.51.100.0, TEST-NET-2 of RFC 5737
)

// hostConfig is what an attacker would change, as the calling thread's namespace has it.
type hostConfig struct {
	somaxconn     int
	route, table  bool
	withoutTables bool // the kernel has no nf_tables
}

func readHostConfig(table string) (c hostConfig, err error) {
	b, err := os.ReadFile(somaxconn)
	if err != nil {
		return c, fmt.Errorf("read sysctl: %w", err)
	}
	if c.somaxconn, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return c, fmt.Errorf("read sysctl: %w", err)
	}
	routes, err := attack.Talk(unix.NETLINK_ROUTE, attack.NewNetlink(unix.RTM_GETROUTE, unix.NLM_F_DUMP, attack.RouteHeader(unix.AF_INET, 0, 0, 0)))
	if err != nil {
		return c, fmt.Errorf("list routes: %w", err)
	}
	c.route = contains(routes, testPrefix)
	tables, err := attack.Talk(unix.NETLINK_NETFILTER, attack.NewNetlink(attack.TableMessage(unix.NFT_MSG_GETTABLE), unix.NLM_F_DUMP, attack.TableHeader(unix.NFPROTO_INET)))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		c.withoutTables = true
		return c, nil
	}
	c.table = contains(tables, table+"\x00")
	return c, err
}

func contains(payloads [][]byte, text string) bool {
	return slices.ContainsFunc(payloads, func(b []byte) bool { return strings.Contains(string(b), text) })
}

// HostConfigKept compares a firewall, the routes and a sysctl before and after. The target's Name
// is a firewall table.
func HostConfigKept(s *Stage) (*Watch, error) {
	host, inode, err := s.netHost()
	if err != nil {
		return nil, err
	}
	var before, after hostConfig
	if err := host.inside(func() (err error) { before, err = readHostConfig(s.Name); return err }); err != nil {
		return nil, err
	}
	return host.guard(&Watch{
		Target: attack.Target{Name: s.Name, Extra: inode},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "add a route", "add a firewall table"); err != nil {
				return Finding{}, err
			}
			if err := host.inside(func() (err error) { after, err = readHostConfig(s.Name); return err }); err != nil {
				return Finding{}, err
			}
			f := Finding{Evidence: fmt.Sprintf("on the host somaxconn is %d of %d, the route is there: %v, the firewall table: %v", after.somaxconn, before.somaxconn, after.route, after.table)}
			parts := []part{{"a route", before.route != after.route}}
			// Some runtimes show no sysctl that can be written to, whosever it is.
			if wrote, _ := answer(r, "write "+somaxconn); wrote != unix.EROFS {
				parts = append(parts, part{"a sysctl", before.somaxconn != after.somaxconn})
			}
			if !before.withoutTables {
				parts = append(parts, part{"a firewall table", before.table != after.table})
			}
			return f.of(parts...), nil
		},
	}), nil
}
