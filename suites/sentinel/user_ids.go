package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// Unmapped is an id beyond the 65536 that the containers' user namespaces map.
const Unmapped = 70000

// The edits that map it: as a user, and as a group.
var (
	MappedUID = mapped("the uid mapped", func(sp *specs.Spec) *[]specs.LinuxIDMapping { return &sp.Linux.UIDMappings })
	MappedGID = mapped("the gid mapped", func(sp *specs.Spec) *[]specs.LinuxIDMapping { return &sp.Linux.GIDMappings })
)

func mapped(name string, of func(*specs.Spec) *[]specs.LinuxIDMapping) spec.Edit {
	return spec.Change(name, func(sp *specs.Spec) {
		if m := of(sp); len(*m) > 0 {
			*m = append(*m, specs.LinuxIDMapping{ContainerID: Unmapped, HostID: (*m)[0].HostID + Unmapped, Size: 1})
		}
	})
}

// identity is who a process is, thread by thread, and what its user namespace maps.
type identity struct {
	uids, gids, groups []string // distinct Uid, Gid and Groups lines
	uidMap, gidMap     string
}

func identify(pid int) (i identity, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return i, err
	}
	for _, t := range threads {
		b, err := os.ReadFile(t)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return i, fmt.Errorf("read ids of the attacker: %w", err)
		}
		i.uids = append(i.uids, StatusField(string(b), "Uid:"))
		i.gids = append(i.gids, StatusField(string(b), "Gid:"))
		i.groups = append(i.groups, StatusField(string(b), "Groups:"))
	}
	for _, list := range []*[]string{&i.uids, &i.gids, &i.groups} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for file, text := range map[string]*string{"uid_map": &i.uidMap, "gid_map": &i.gidMap} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			return i, fmt.Errorf("read id map of the attacker: %w", err)
		}
		*text = string(b)
	}
	return i, nil
}

// foreignID returns the first line of an id map that reaches a host id beyond those that the specs of this
// trial map, whose first is that of the containers' root.
func foreignID(idMap string, root uint32) (string, error) {
	for line := range strings.Lines(idMap) {
		var inside, outside, size uint64
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err != nil {
			return "", fmt.Errorf("parse the id map %q: %w", line, err)
		}
		if outside < uint64(root) || outside+size > uint64(root)+Unmapped+1 {
			return strings.Join(strings.Fields(line), " "), nil
		}
	}
	return "", nil
}

// IDsKept looks whether a thread or a file of the attacker gets an id that is not mapped, and whether
// any is mapped that no spec names. That the mapping itself changes would be a breach as well. Nothing
// allows that a second time, and no edit stands for a runtime that maps more than it was told: no
// control can show these two.
func IDsKept(s *Stage) (*Watch, error) {
	dir, err := s.share(0o777)
	if err != nil {
		return nil, err
	}
	var before, after identity
	var file unix.Stat_t
	var there bool
	return &Watch{
		Target: attack.Target{Path: sharedDir + "/made", Count: Unmapped},
		Ready:  func(_ context.Context, a *Subject) (err error) { before, err = identify(a.PID); return err },
		Hold: func(_ context.Context, _ string, a *Subject) (err error) {
			if after, err = identify(a.PID); err != nil {
				return err
			}
			file, there, err = owner(filepath.Join(dir, "made"))
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "chown to an unmapped uid", "chown to an unmapped gid", "write uid_map", "write gid_map", "setgroups", "setresgid", "setresuid"); err != nil {
				return Finding{}, err
			}
			if !there || len(before.uids) == 0 {
				return Finding{}, errors.New("the attacker made no file")
			}
			own := func(line string) string { first, _, _ := strings.Cut(line, "\t"); return first }
			for _, m := range []string{before.uidMap, before.gidMap} {
				if line, err := foreignID(m, s.Root); line != "" || err != nil {
					return Finding{Breached: line != "", Evidence: "its user namespace maps an id of the host that is not its own: " + line}, err
				}
			}
			f := Finding{
				Breached: before.uidMap != after.uidMap || before.gidMap != after.gidMap,
				Evidence: fmt.Sprintf("its threads have the uids %q, gids %q and groups %q, its file is of %d:%d", after.uids, after.gids, after.groups, file.Uid, file.Gid),
			}
			users := []part{
				{"a thread's uid", !slices.Equal(before.uids, after.uids)},
				{"a file's uid", strconv.FormatUint(uint64(file.Uid), 10) != own(before.uids[0])},
			}
			groups := []part{
				{"a thread's gid", !slices.Equal(before.gids, after.gids)},
				{"a thread's groups", !slices.Equal(before.groups, after.groups)},
				{"a file's gid", strconv.FormatUint(uint64(file.Gid), 10) != own(before.gids[0])},
			}
			// Each control maps one of the two.
			switch {
			case s.Has(MappedUID.Name):
				f.Breached = f.Breached || f.of(groups...).Breached
				return f.of(users...), nil
			case s.Has(MappedGID.Name):
				f.Breached = f.Breached || f.of(users...).Breached
				return f.of(groups...), nil
			}
			return f.of(append(users, groups...)...), nil
		},
	}, nil
}
