export default {
  "outcomes": {
    "success": "The credentials are right.",
    "missing": "The request has no credentials of a supported scheme.",
    "malformed": "A conforming client does not send this request.",
    "failure": "The credentials are well-formed and not accepted.",
    "throttled": "The attempt was refused without a check because a budget is empty.",
    "error": "The attempt could not be judged."
  },
  "reasons": {
    "unknown_user": "No account has this name.",
    "wrong_password": "The password is not that of the account.",
    "account_disabled": "The account is disabled.",
    "credentials_expired": "The account or the previous password has expired.",
    "password_too_long": "The password exceeds the limit of the hash scheme.",
    "duplicate_header": "The request has several Authorization fields.",
    "multiple_schemes": "The Authorization field has several credentials.",
    "header_too_long": "The Authorization field exceeds the limit.",
    "empty_credentials": "The scheme has no credentials.",
    "invalid_base64": "The credentials are not valid Base64.",
    "no_colon": "The credentials have no colon.",
    "control_character": "The credentials have a control character.",
    "raw_path": "The path cannot be compared with the rules.",
    "method_refused": "The method is not allowed.",
    "invalid_host": "The host has a character that no host name has.",
    "untrusted_proxy": "A forward-auth request comes from a peer that is not a trusted proxy.",
    "forwarded_request": "The forwarded request is incomplete or ambiguous.",
    "not_permitted": "A rule does not permit this account, see `auth.rule`. The outcome is `success`.",
    "foreign_origin": "A page of another origin made the browser send the request. The outcome is `success`.",
    "unsafe_name": "The name of the account cannot be sent in a header. The outcome is `success`.",
    "plaintext_refused": "The request came in plaintext.",
    "queue_full": "The hash queue is full.",
    "queue_timeout": "The wait in the hash queue exceeds the limit.",
    "budget_empty": "A guess budget is empty.",
    "verifier_failed": "The account store or the verifier failed."
  },
  "cache": {
    "hit": "The credential was recognised. No hash ran.",
    "miss": "A hash ran for this attempt or would have run.",
    "coalesced": "The attempt shared the hash of another attempt."
  },
  "findings": {
    "anonymous_access": "The route served 2xx to a caller without credentials, and is not public.",
    "never_authenticated": "The route is registered, and served no authenticated caller for a day."
  },
  "rules": {
    "brute_force": {
      "severity": "high",
      "technique": "T1110.001",
      "fires": "30 different wrong passwords for one account from one network within a day"
    },
    "password_spray": {
      "severity": "high",
      "technique": "T1110.003",
      "fires": "wrong passwords, within 3 days, for 10 accounts that have never succeeded from the network, and for at least 20 % as many as have; or the same from 5 networks or more of an IPv6 /32"
    },
    "credential_stuffing": {
      "severity": "high",
      "technique": "T1110.004",
      "fires": "20 names from one network within 3 days, half of them unknown, at most 2 attempts each, and at least 20 % as many as accounts use the network; or the same from 5 networks or more of an IPv6 /32"
    },
    "same_password": {
      "severity": "high",
      "technique": "T1110.003",
      "fires": "one wrong password for 10 names, or for 3 names from 20 networks, within 3 days"
    },
    "distributed_guessing": {
      "severity": "high",
      "technique": "T1110.001",
      "fires": "10 different wrong passwords for one account from 10 unknown networks within 3 days, or 4 from three times as many"
    },
    "low_and_slow": {
      "severity": "high",
      "technique": "T1110.001",
      "fires": "new wrong passwords for one account from unknown networks in 24 ten-minute windows of one day, 12 hours of two days, or on 6 days of fourteen, 22 hours apart"
    },
    "scheduled_guessing": {
      "severity": "medium",
      "technique": "T1110",
      "fires": "8 intervals in a row between new wrong passwords, each 30 s or longer, that agree within a tenth"
    },
    "success_after_failures": {
      "severity": "high",
      "technique": "T1110",
      "fires": "a success after 20 different wrong passwords from a network new to the account, after 30 from any network, or from a new network during an attack on the account or an attack that the network takes part in"
    },
    "new_network": {
      "severity": "low",
      "technique": "T1078",
      "fires": "a success from a network new to an account that is known for 7 days and seldom changes networks; fewer than 10 accounts used the network more than 7 days ago"
    },
    "impossible_travel": {
      "severity": "medium",
      "technique": "T1078",
      "fires": "two successes 500 km apart at 1000 km/h of an account that is known for 7 days and seldom changes networks, one of them from a network that is new to the account within 3 days and that fewer than 10 accounts used more than 7 days ago (needs a Locator)"
    },
    "concurrent_networks": {
      "severity": "low",
      "technique": "T1078",
      "fires": "4 changes within 2 hours between a network known for less than a day and another one"
    },
    "unusual_hour": {
      "severity": "low",
      "technique": "T1078",
      "fires": "a success from a known network at an hour of the day that is more than 2 hours from every hour at which the account was used in the last four weeks; only for accounts with at least 6 hours of rest, after 14 days and 10 days with use"
    },
    "endpoint_failure_ratio": {
      "severity": "medium",
      "technique": "T1110",
      "fires": "within one hour of the clock, 20 failing names above twice the endpoint's usual ratio, and six standard deviations above it; after 48 hours"
    },
    "sensitive_only_denied": {
      "severity": "medium",
      "technique": "T1595",
      "fires": "5 different wrong credentials or endpoints at sensitive endpoints, from a network without a success, within 3 days"
    },
    "unusable_account": {
      "severity": "low",
      "technique": "T1078",
      "fires": "3 attempts at a disabled or expired account within 3 days"
    },
    "many_accounts": {
      "severity": "high",
      "technique": "T1078",
      "fires": "within 3 days, successes of 7 accounts from a network that none of them has used; each is known for 7 days and seldom changes networks; fewer than 10 accounts used the network more than 7 days ago, and neither password_spray nor credential_stuffing has fired for it"
    },
    "distributed_stuffing": {
      "severity": "high",
      "technique": "T1110.004",
      "fires": "within an hour, wrong passwords for 50 names from 50 networks without a success, and twice as many networks as in any hour of the last days; after a day; or twice as many of both within a day; after 8 days"
    },
    "stale_credential": {
      "severity": "low",
      "technique": "T1078",
      "fires": "within an hour of the clock, 100 repetitions of one wrong password for one account, by clients that have sent it before; the password is tried on no other account"
    },
    "failure_burst": {
      "severity": "medium",
      "technique": "T1110",
      "fires": "5 different wrong credentials within 10 minutes from one network without a success"
    }
  }
}
