// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// tuningFlags are settings that few services change. The tag rare hides them from
// "gateway --help"; "help --all", the manual page and docs/settings.md list them. They have no
// default here: unset, the package that owns the field uses its own, which the help states.
//
// To add one, write here its flag with the tag sets, which names the field of the configuration.
type tuningFlags struct {
	LimitNewPair     limit  `sets:"gateway:Auth.Budgets.Limits.NewPair" start:"" placeholder:"BURST/EVERY" group:"Guesses" help:"Wrong passwords for one account from one network: BURST at once, then one more each EVERY. Default: 10/1m."`
	LimitKnownPair   limit  `rare:"" sets:"gateway:Auth.Budgets.Limits.KnownPair" start:"" placeholder:"BURST/EVERY" group:"Guesses" help:"The reserve of an account in a network from which it has logged in before, so that an attack does not lock it out. Default: 90/1m."`
	LimitAccount     limit  `sets:"gateway:Auth.Budgets.Limits.Account" start:"" placeholder:"BURST/EVERY" group:"Guesses" help:"Wrong passwords for one account from all networks together. Default: 50/1m."`
	LimitNetwork     limit  `sets:"gateway:Auth.Budgets.Limits.Network" start:"" placeholder:"BURST/EVERY" group:"Guesses" help:"Wrong passwords from one network, an IPv4 address or an IPv6 /64. Default: 300/1s."`
	LimitSite        limit  `rare:"" sets:"gateway:Auth.Budgets.Limits.Site" start:"" placeholder:"BURST/EVERY" group:"Guesses" help:"Wrong passwords from one site, an IPv4 /24 or an IPv6 /48. Default: 1200/250ms."`
	LimitRequests    limit  `rare:"" sets:"gateway:Auth.Budgets.Limits.Requests" start:"" placeholder:"BURST/EVERY" group:"Guesses" help:"Requests from one network without credentials, or with malformed ones. Default: no limit."`
	LimitRemember    span   `rare:"" sets:"gateway:Auth.Budgets.Remember" start:"" placeholder:"TIME" group:"Guesses" help:"How long a login makes an account and its network known to --limit-known-pair. Default: 30d."`
	LimitLease       span   `rare:"" sets:"gateway:Auth.Budgets.Lease" start:"" placeholder:"TIME" group:"Guesses" help:"When a guess whose result is not known is charged. It must exceed --hash-max-wait. Default: 1m."`
	LimitMemoryBytes int    `rare:"" sets:"memory:Bytes" start:"" placeholder:"BYTES" group:"Guesses" help:"The memory of all budgets. Default: 67108864 (64 MiB)."`
	LimitFile        string `sets:"memory:SnapshotFile" start:"" placeholder:"FILE" complete:"file" group:"Guesses" help:"File that keeps the budgets over a restart. Requires --identity-key-file. Default: a restart gives every attacker full budgets. With --redis-url-file, Redis keeps them."`
	LimitFileEvery   span   `rare:"" sets:"memory:SnapshotEvery" start:"" placeholder:"TIME" group:"Guesses" help:"How often --limit-file is written. Default: 5m."`

	HashSlots       int   `sets:"gateway:Auth.Hashing.Slots" placeholder:"NUMBER" group:"Guesses" help:"How many passwords are hashed at once. Default: one less than the processors (GOMAXPROCS), and at least 1."`
	HashQueue       int   `rare:"" sets:"gateway:Auth.Hashing.Queued" placeholder:"NUMBER" group:"Guesses" help:"How many requests may wait for a hash; further ones are answered 503. Default: 1024."`
	HashMaxWait     span  `rare:"" sets:"gateway:Auth.Hashing.MaxWait" placeholder:"TIME" group:"Guesses" help:"How long a request may wait for a hash. One that would wait longer is answered 503 at once. Default: 10s."`
	HashMemoryBytes int64 `rare:"" sets:"gateway:Auth.Hashing.MemoryBytes" placeholder:"BYTES" group:"Guesses" help:"The memory of the hashes that run at once. Default: 536870912 (512 MiB)."`

	BoundBcryptCost       int           `rare:"" sets:"htpasswd:Policy.Max.BcryptCost sqlstore:Policy.Max.BcryptCost" placeholder:"COST" group:"Accounts" help:"The most expensive bcrypt hash that is accepted. Default: 16."`
	BoundMemoryBytes      int64         `rare:"" sets:"htpasswd:Policy.Max.MemoryBytes sqlstore:Policy.Max.MemoryBytes" placeholder:"BYTES" group:"Accounts" help:"The memory of the most expensive argon2id or scrypt hash that is accepted. Default: 268435456 (256 MiB)."`
	BoundArgon2Lanes      int           `name:"bound-argon2-lanes" rare:"" sets:"htpasswd:Policy.Max.Argon2Lanes sqlstore:Policy.Max.Argon2Lanes" placeholder:"NUMBER" group:"Accounts" help:"The largest parallelism of an argon2id hash that is accepted. Default: 32."`
	BoundPBKDF2Iterations int           `name:"bound-pbkdf2-iterations" rare:"" sets:"htpasswd:Policy.Max.PBKDF2Iterations sqlstore:Policy.Max.PBKDF2Iterations" placeholder:"NUMBER" group:"Accounts" help:"The most expensive PBKDF2 hash that is accepted. Default: 5000000."`
	BoundSHACryptRounds   int           `name:"bound-sha-crypt-rounds" rare:"" sets:"htpasswd:Policy.Max.SHACryptRounds sqlstore:Policy.Max.SHACryptRounds" placeholder:"NUMBER" group:"Accounts" help:"The most expensive SHA-crypt hash that is accepted. Default: 1000000."`
	UsersPoll             span          `rare:"" sets:"htpasswd:Poll" placeholder:"TIME" group:"Accounts" help:"How often the files of --users and --groups are compared, for file systems that report no changes. Default: 5s."`
	UsersSettle           span          `rare:"" sets:"htpasswd:Settle" placeholder:"TIME" group:"Accounts" help:"How long a changed file must stay unchanged before it is used. Default: 200ms."`
	SQLTTL                span          `name:"sql-ttl" rare:"" sets:"sqlstore:TTL" placeholder:"TIME" group:"Accounts" help:"How long an account is used as it was read from the database. Default: 5s."`
	SQLStaleIfDown        time.Duration `name:"sql-stale-if-down" rare:"" sets:"sqlstore:StaleIfDown" placeholder:"TIME" group:"Accounts" help:"How old an account may be while the database is down, for credentials that were verified before; negative: as long as --sql-ttl. Default: 5m."`
	SQLTimeout            span          `name:"sql-timeout" rare:"" sets:"sqlstore:Timeout" placeholder:"TIME" group:"Accounts" help:"How long one query may take. At most --sql-ttl. Default: 1s."`
	SQLSampleEvery        span          `name:"sql-sample-every" rare:"" sets:"sqlstore:SampleEvery" placeholder:"TIME" group:"Accounts" help:"How often --sql-passwords is queried. Default: 10m."`
	SQLMaxAccounts        int           `name:"sql-max-accounts" rare:"" sets:"sqlstore:MaxAccounts" placeholder:"NUMBER" group:"Accounts" help:"How many accounts of verified credentials are remembered. Default: 65536."`
	SQLMaxGuessed         int           `name:"sql-max-guessed" rare:"" sets:"sqlstore:MaxGuessed" placeholder:"NUMBER" group:"Accounts" help:"How many names of other attempts are remembered. Default: 16384."`
	SQLMaxQueries         int           `name:"sql-max-queries" rare:"" sets:"sqlstore:MaxQueries" placeholder:"NUMBER" group:"Accounts" help:"How many queries run at once for unknown clients, and again as many for known ones. Default: 4."`

	RedisProbeEvery    span `rare:"" sets:"redisstore:ProbeEvery redisfeed:ProbeEvery" start:"" placeholder:"TIME" group:"Sharing" help:"How often a Redis that does not answer is tried again. Default: 1s."`
	RedisDetectTimeout span `rare:"" sets:"redisfeed:Timeout" start:"" placeholder:"TIME" group:"Sharing" help:"How long detection waits for Redis. No request waits. Default: 100ms."`
	RedisDetectLease   span `rare:"" sets:"redisfeed:Lease" start:"" placeholder:"TIME" group:"Sharing" help:"How long a gateway that has stopped remains the one that reports detections. Default: 3s."`
	RedisDetectBytes   int  `rare:"" sets:"redisfeed:MaxBytes" start:"" placeholder:"BYTES" group:"Sharing" help:"The size of the attempts in Redis, from which a gateway that starts later learns. Default: 67108864 (64 MiB)."`
	RedisDetectKeep    span `rare:"" sets:"redisfeed:Keep" start:"" placeholder:"TIME" group:"Sharing" help:"How long Redis keeps attempts if none is added. Default: 14d."`

	DangerouslyAllowPlaintextFrom []string `sep:"none" via:"gateway:Auth.DangerouslyAllowPlaintextFrom" rare:"" placeholder:"NETWORK" group:"Network" help:"Network from which passwords are accepted without TLS, although everyone on the network path can read them. Default: loopback and unix sockets only."`
	MaxAuthorizationBytes         int      `rare:"" sets:"gateway:Auth.MaxHeaderBytes" placeholder:"BYTES" group:"Limits" help:"How many bytes the Authorization header may have. Default: 8192 (8 KiB)."`

	EventSuccessPeriod        span `rare:"" sets:"gateway:Auth.Events.SuccessPeriod" placeholder:"TIME" group:"Signals" help:"How long --successes=first folds the further logins of an account. Default: 1m."`
	EventBurst                int  `sets:"gateway:Auth.Events.Burst" placeholder:"NUMBER" group:"Signals" help:"How many identical denials of a network are events of their own; further ones are folded into auth.events.suppressed, with their number. Default: 20."`
	EventEvery                span `rare:"" sets:"gateway:Auth.Events.Every" placeholder:"TIME" group:"Signals" help:"After --event-burst, one more denial in this time is an event of its own. Default: 2s."`
	EventPeriod               span `rare:"" sets:"gateway:Auth.Events.Period" placeholder:"TIME" group:"Signals" help:"How often folded denials are reported. Default: 10s."`
	EventEntries              int  `rare:"" sets:"gateway:Auth.Events.Entries" placeholder:"NUMBER" group:"Signals" help:"How many networks and kinds of denials are folded separately. Default: 4096."`
	EventPerSecond            int  `rare:"" sets:"gateway:Auth.Events.PerSecond" placeholder:"NUMBER" group:"Signals" help:"How many events of denials a second this process emits at most, sustained, from however many networks; further ones are folded, with their number. At most 10000. Default: 5."`
	DangerouslyUnfoldedEvents bool `rare:"" sets:"gateway:Auth.Events.DangerouslyUnfolded" group:"Signals" help:"Every denial is an event of its own. Any client can then fill a disk."`

	SpanValueLength int `rare:"" placeholder:"CHARACTERS" start:"" group:"Signals" help:"Where exported spans cut texts, because a client chooses their length. $$OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and $$OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT override it. Default: 512."`
	SpanBatch       int `rare:"" placeholder:"NUMBER" start:"" group:"Signals" help:"How many spans one export has at most, so that it stays below the 4 MiB that collectors accept. $$OTEL_BSP_MAX_EXPORT_BATCH_SIZE overrides it. Default: 128."`

	detectFlags `group:"Detection"`
}

// detectFlags tune the detection of attacks. The fields after DetectQueue are the thresholds.
type detectFlags struct {
	DetectOn        []string `sep:"none" via:"gateway:Auth.Detect.On" start:"" placeholder:"RULE" complete:"rule" help:"Rule of detection to turn on, of those that are off unless they are listed here: unusual_hour. May be repeated. Default: none."`
	DetectOff       []string `sep:"none" via:"gateway:Auth.Detect.Off" start:"" placeholder:"RULE" complete:"rule" help:"Rule of detection that never fires, such as new_network. May be repeated. Default: none."`
	DetectFile      string   `via:"gateway:Auth.Detect.Snapshot.File" start:"" placeholder:"FILE" complete:"file" help:"File that keeps what detection has learned over a restart. It is encrypted. Requires --identity-key-file. Default: detection learns anew after a restart. With --redis-url-file, Redis keeps it."`
	DetectFileEvery span     `rare:"" via:"gateway:Auth.Detect.Snapshot.Every" start:"" placeholder:"TIME" help:"How often --detect-file is written. Default: 5m."`

	DetectEntries int `rare:"" sets:"gateway:Auth.Detect.Entries" start:"" placeholder:"NUMBER" help:"The size of each table of evidence: at least the number of accounts. All tables take at most 64 MiB at the default. Default: 16384."`
	DetectQueue   int `rare:"" sets:"gateway:Auth.Detect.Queue" start:"" placeholder:"NUMBER" help:"How many attempts may wait for evaluation; further ones are dropped and counted. Default: 8192."`

	DetectBruteForcePasswords  int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.BruteForcePasswords" start:"" placeholder:"NUMBER" help:"brute_force: different wrong passwords within a day, for one account from one network. Default: 30."`
	DetectSprayAccounts        int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.SprayAccounts" start:"" placeholder:"NUMBER" help:"password_spray: accounts within 3 days that have never succeeded from the network. Default: 10."`
	DetectStuffingNames        int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.StuffingNames" start:"" placeholder:"NUMBER" help:"credential_stuffing: names from one network within 3 days. Default: 20."`
	DetectCrowdPercent         int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.CrowdPercent" start:"" placeholder:"PERCENT" help:"password_spray and credential_stuffing: at least this percentage of the accounts that succeed from the network, so that a shared address is not taken for an attacker. Default: 20."`
	DetectSamePasswordAccounts int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.SamePasswordAccounts" start:"" placeholder:"NUMBER" help:"same_password: names on which one wrong password is tried within 3 days. Default: 10."`
	DetectSamePasswordNetworks int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.SamePasswordNetworks" start:"" placeholder:"NUMBER" help:"same_password: networks that try one wrong password on 3 names or more within 3 days. Default: 20."`
	DetectDistributedNetworks  int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.DistributedNetworks" start:"" placeholder:"NUMBER" help:"distributed_guessing: unknown networks, and different wrong passwords, within 3 days. Default: 10."`
	DetectSlowTenMinutes       int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.SlowTenMinutes" start:"" placeholder:"NUMBER" help:"low_and_slow: ten-minute windows of one day with a guess. Default: 24."`
	DetectSlowHours            int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.SlowHours" start:"" placeholder:"NUMBER" help:"low_and_slow: hours of two days with a guess. Default: 12."`
	DetectSlowDays             int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.SlowDays" start:"" placeholder:"NUMBER" help:"low_and_slow: days of fourteen with a guess. Default: 6."`
	DetectTickIntervals        int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.TickIntervals" start:"" placeholder:"NUMBER" help:"scheduled_guessing: equal intervals in a row. Default: 8."`
	DetectRunBeforeSuccess     int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.RunBeforeSuccess" start:"" placeholder:"NUMBER" help:"success_after_failures: different wrong passwords before a success from a network new to the account. At most --detect-brute-force-passwords. Default: 20."`
	DetectNewNetworkAfter      span `rare:"" sets:"gateway:Auth.Detect.Thresholds.NewNetworkAfter" start:"" placeholder:"TIME" help:"new_network: how long an account must be known first. Default: 7d."`
	DetectLearnHours           span `rare:"" sets:"gateway:Auth.Detect.Thresholds.LearnHours" start:"" placeholder:"TIME" help:"unusual_hour: how long the usual hours of an account are learned. Default: 14d."`
	DetectTravelKm             int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.TravelKm" start:"" placeholder:"KM" help:"impossible_travel: the shortest distance. Default: 500."`
	DetectTravelKmPerHour      int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.TravelKmPerHour" start:"" placeholder:"KM/H" help:"impossible_travel: the lowest speed. Default: 1000."`
	DetectEndpointNames        int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.EndpointNames" start:"" placeholder:"NUMBER" help:"endpoint_failure_ratio: failing names within an hour above twice the usual number. Default: 20."`
	DetectSensitiveDenials     int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.SensitiveDenials" start:"" placeholder:"NUMBER" help:"sensitive_only_denied: different refusals at sensitive endpoints within 3 days. Default: 5."`
	DetectManyAccounts         int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.ManyAccounts" start:"" placeholder:"NUMBER" help:"many_accounts: accounts, within 3 days, that succeed from a network that they have never used. Default: 7."`
	DetectStrangeNetworks      int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.StrangeNetworks" start:"" placeholder:"NUMBER" help:"distributed_stuffing: networks without a success, and names that they fail for, within an hour; twice as many within a day. Default: 50."`
	DetectStaleRepeats         int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.StaleRepeats" start:"" placeholder:"NUMBER" help:"stale_credential: repetitions of one wrong password for one account within an hour. Default: 100."`
	DetectBurstFailures        int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.BurstFailures" start:"" placeholder:"NUMBER" help:"failure_burst: different wrong credentials within 10 minutes from one network without a success; at most 8. Default: 5."`
	DetectUnusableTries        int  `rare:"" sets:"gateway:Auth.Detect.Thresholds.UnusableTries" start:"" placeholder:"NUMBER" help:"unusable_account: attempts at a disabled or expired account within 3 days. Default: 3."`
}

// limit is a limit of guesses: "10/1m" is 10 at once, then one more each minute. The zero limit
// is the default.
type limit throttle.Limit

// UnmarshalText reads BURST/EVERY.
func (l *limit) UnmarshalText(text []byte) error {
	burst, every, found := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(burst)
	if !found || err != nil {
		return errLimit
	}
	var s span
	if err := s.UnmarshalText([]byte(every)); err != nil {
		return errLimit
	}
	*l = limit{Burst: n, Every: time.Duration(s)}
	return nil
}

// String returns the form that UnmarshalText reads.
func (l limit) String() string { return fmt.Sprintf("%d/%s", l.Burst, span(l.Every)) }

var errLimit = errors.New("not a valid limit: write the burst and the time until one more, such as 10/1m")
