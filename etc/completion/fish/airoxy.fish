# Completion of airoxy(1). Written by etc/completion/generate.py; do not edit.

function __airoxy_at --description 'Whether this is the command typed so far'
    set --local known
    set --append known "setup"
    set --append known "api-key"
    set --append known "api-key add"
    set --append known "api-key set"
    set --append known "api-key rotate"
    set --append known "api-key list"
    set --append known "api-key show"
    set --append known "api-key enable"
    set --append known "api-key disable"
    set --append known "api-key toggle"
    set --append known "api-key remove"
    set --append known "group"
    set --append known "group add"
    set --append known "group set"
    set --append known "group list"
    set --append known "group show"
    set --append known "group remove"
    set --append known "token"
    set --append known "token add"
    set --append known "token auto"
    set --append known "token list"
    set --append known "token show"
    set --append known "token set"
    set --append known "token check"
    set --append known "token enable"
    set --append known "token disable"
    set --append known "token toggle"
    set --append known "token reset"
    set --append known "token remove"
    set --append known "token refresh"
    set --append known "token rotate-key"
    set --append known "logs"
    set --append known "stats"
    set --append known "top"
    set --append known "audit"
    set --append known "apply"
    set --append known "export"
    set --append known "fleet"
    set --append known "fleet join"
    set --append known "fleet status"
    set --append known "fleet leave"
    set --append known "fleet forget"
    set --append known "fleet agent"
    set --append known "prices"
    set --append known "console"
    set --append known "console user"
    set --append known "console user add"
    set --append known "console user link"
    set --append known "console user list"
    set --append known "console user set"
    set --append known "console user logout"
    set --append known "console user remove"
    set --append known "console token"
    set --append known "console token add"
    set --append known "console token list"
    set --append known "console token remove"
    set --append known "notify"
    set --append known "notify test"
    set --append known "config"
    set --append known "config show"
    set --append known "config check"
    set --append known "backup"
    set --append known "restore"
    set --append known "start"
    set --append known "stop"
    set --append known "restart"
    set --append known "reload"
    set --append known "status"
    set --append known "doctor"
    set --append known "update"
    set --append known "uninstall"
    set --append known "import-php"
    set --append known "serve"
    set --append known "job"
    set --append known "job refresh-tokens"
    set --append known "job tidy-log"
    set --append known "job notify"
    set --append known "job pass-certificate"
    set --append known "help"
    set --append known "version"
    set --append known "complete"
    set --local command
    set --local typed (commandline --tokenize --cut-at-cursor --current-process)
    for word in (string replace ':' ' ' -- $typed[2..])
        contains -- (string trim "$command $word") $known; and set --append command $word
        test "$command" = help; and set command
    end
    test "$command" = "$argv"
end

function __airoxy_list --description 'The words, behind those of a list with commas'
    set --local typed (commandline --current-token --cut-at-cursor)
    set typed (string replace --regex '^--[a-z-]+=' '' -- $typed)
    string replace --regex '^' -- (string replace --regex '[^,]*$' '' -- $typed) $argv
end

complete --command airoxy --no-files
complete --command airoxy --condition '__airoxy_at ' --arguments setup --description 'Add the first token, make the first key and show what to paste'
complete --command airoxy --condition '__airoxy_at ' --arguments api-key --description 'Make and manage the keys that clients use'
complete --command airoxy --condition '__airoxy_at ' --arguments group --description 'Make and manage groups of client keys'
complete --command airoxy --condition '__airoxy_at ' --arguments token --description 'Manage the pool of Anthropic access tokens'
complete --command airoxy --condition '__airoxy_at ' --arguments logs --description 'Show the newest requests'
complete --command airoxy --condition '__airoxy_at ' --arguments stats --description 'Show what was used and what it cost'
complete --command airoxy --condition '__airoxy_at ' --arguments top --description 'Show what goes on, live'
complete --command airoxy --condition '__airoxy_at ' --arguments audit --description 'Show who has changed what'
complete --command airoxy --condition '__airoxy_at ' --arguments apply --description 'Make keys and groups what a file says'
complete --command airoxy --condition '__airoxy_at ' --arguments export --description 'Write keys and groups as a file'
complete --command airoxy --condition '__airoxy_at ' --arguments fleet --description 'Share keys, tokens, limits and usage among several hosts'
complete --command airoxy --condition '__airoxy_at ' --arguments prices --description 'Show the prices, and apply them again'
complete --command airoxy --condition '__airoxy_at ' --arguments console --description 'Run the web console and say who may use it'
complete --command airoxy --condition '__airoxy_at ' --arguments notify --description 'Try the warnings for the operator'
complete --command airoxy --condition '__airoxy_at ' --arguments config --description 'Show and check the configuration'
complete --command airoxy --condition '__airoxy_at ' --arguments backup --description 'Copy the database to a file'
complete --command airoxy --condition '__airoxy_at ' --arguments restore --description 'Put a backup in the place of the database'
complete --command airoxy --condition '__airoxy_at ' --arguments start --description 'Start airoxy: its socket and its service'
complete --command airoxy --condition '__airoxy_at ' --arguments stop --description 'Stop airoxy: its service and its socket'
complete --command airoxy --condition '__airoxy_at ' --arguments restart --description 'Restart airoxy, with changed units and addresses too'
complete --command airoxy --condition '__airoxy_at ' --arguments reload --description 'Put configuration and program into force without losing a connection'
complete --command airoxy --condition '__airoxy_at ' --arguments status --description 'Show how socket, service and timers are doing'
complete --command airoxy --condition '__airoxy_at ' --arguments doctor --description 'Check what can be wrong with airoxy, and repair it with --fix'
complete --command airoxy --condition '__airoxy_at ' --arguments update --description 'Install a newer version with apt'
complete --command airoxy --condition '__airoxy_at ' --arguments uninstall --description 'Remove airoxy with apt'
complete --command airoxy --condition '__airoxy_at ' --arguments import-php --description 'Take over keys, tokens and daily sums of the older PHP installation'
complete --command airoxy --condition '__airoxy_at ' --arguments serve --description 'Run the server in the foreground'
complete --command airoxy --condition '__airoxy_at ' --arguments job --description 'Run what timers and reloads run'
complete --command airoxy --condition '__airoxy_at ' --arguments help --description 'Show what a command does'
complete --command airoxy --condition '__airoxy_at ' --arguments version --description 'Show the version of airoxy'
complete --command airoxy --condition '__airoxy_at ' --arguments complete --description 'Print words for the completion of a shell'
complete --command airoxy --condition '__airoxy_at ' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at ' --long-option version --description 'show program’s version number and exit'
complete --command airoxy --condition '__airoxy_at ' --long-option config --require-parameter --force-files --description 'configuration file (default: $AIROXY_CONFIG, else /etc/airoxy/airoxy.yaml)'
complete --command airoxy --condition '__airoxy_at setup' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at setup' --long-option no-check --description 'do not ask Anthropic whether the token is good'
complete --command airoxy --condition '__airoxy_at api-key' --arguments add --description 'Make a key and show it once'
complete --command airoxy --condition '__airoxy_at api-key' --arguments set --description 'Change a key’s limits, note or name'
complete --command airoxy --condition '__airoxy_at api-key' --arguments rotate --description 'Give a key a new secret, while the old one still works for a time'
complete --command airoxy --condition '__airoxy_at api-key' --arguments list --description 'List the keys, masked, with their use of a limit'
complete --command airoxy --condition '__airoxy_at api-key' --arguments show --description 'Show a key with all its limits'
complete --command airoxy --condition '__airoxy_at api-key' --arguments enable --description 'Accept a key again'
complete --command airoxy --condition '__airoxy_at api-key' --arguments disable --description 'Stop accepting a key'
complete --command airoxy --condition '__airoxy_at api-key' --arguments toggle --description 'Disable a key, or enable it'
complete --command airoxy --condition '__airoxy_at api-key' --arguments remove --description 'Remove a key for good'
complete --command airoxy --condition '__airoxy_at api-key' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option name --require-parameter --description 'whom the key is for'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option spend-per-day --require-parameter --description 'dollars that may be spent in a day'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option spend-per-week --require-parameter --description 'dollars that may be spent in a week from Monday on'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option spend-per-month --require-parameter --description 'dollars that may be spent in a calendar month'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option spend-total --require-parameter --description 'dollars that may be spent in total, since the beginning'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option requests-per-minute --require-parameter --description 'requests in any sixty seconds'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option tokens-per-minute --require-parameter --description 'input and output tokens in any sixty seconds, but those read from the cache'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option concurrent --require-parameter --description 'requests that may run at the same time'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option models --require-parameter --arguments '(__airoxy_list (airoxy complete models 2>/dev/null))' --description 'the only models, such as ’claude-haiku-*,claude-sonnet-5’'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option expires --require-parameter --description 'the last day of the key, or the moment: 2026-12-31T18:00; or from now on: 30d'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option paths --require-parameter --description 'paths to open beside those that can be counted, such as ’/v1/agents*’'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option from --require-parameter --description 'the only networks that requests may come from: 192.0.2.0/24,2001:db8::7'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option share-resources --require-parameter --description 'with which other keys files, batches and whatever else it makes are shared: none, those of its group (the default), or all that share with all'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option note --require-parameter --description 'a note about the key'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option pool --require-parameter --description 'use only the tokens of this pool'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option group --require-parameter --arguments '(airoxy complete groups 2>/dev/null)' --description 'the group that the key is in (id or name)'
complete --command airoxy --condition '__airoxy_at api-key add' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key set' --arguments '(airoxy complete keys 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option name --require-parameter --description 'whom the key is for'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option spend-per-day --require-parameter --description 'dollars that may be spent in a day; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option spend-per-week --require-parameter --description 'dollars that may be spent in a week from Monday on; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option spend-per-month --require-parameter --description 'dollars that may be spent in a calendar month; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option spend-total --require-parameter --description 'dollars that may be spent in total, since the beginning; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option requests-per-minute --require-parameter --description 'requests in any sixty seconds; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option tokens-per-minute --require-parameter --description 'input and output tokens in any sixty seconds, but those read from the cache; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option concurrent --require-parameter --description 'requests that may run at the same time; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option models --require-parameter --arguments '(__airoxy_list (airoxy complete models 2>/dev/null))' --description 'the only models, such as ’claude-haiku-*,claude-sonnet-5’; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option expires --require-parameter --description 'the last day of the key, or the moment: 2026-12-31T18:00; or from now on: 30d; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option paths --require-parameter --description 'paths to open beside those that can be counted, such as ’/v1/agents*’; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option from --require-parameter --description 'the only networks that requests may come from: 192.0.2.0/24,2001:db8::7; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option share-resources --require-parameter --description 'with which other keys files, batches and whatever else it makes are shared: none, those of its group (the default), or all that share with all'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option note --require-parameter --description 'a note about the key; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option pool --require-parameter --description 'use only the tokens of this pool; `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option group --require-parameter --arguments '(airoxy complete groups 2>/dev/null)' --description 'the group that the key is in (id or name); `none` takes it away'
complete --command airoxy --condition '__airoxy_at api-key set' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key rotate' --arguments '(airoxy complete keys 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at api-key rotate' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key rotate' --long-option overlap --require-parameter --description 'for how long the old secret still works: 24h (the default), 7d, 0 for not at all'
complete --command airoxy --condition '__airoxy_at api-key rotate' --long-option stdin --description 'read the new key from standard input, one that another host of yours has made'
complete --command airoxy --condition '__airoxy_at api-key rotate' --long-option finish --description 'make no new secret, and stop accepting the old ones: all clients have the new one'
complete --command airoxy --condition '__airoxy_at api-key rotate' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key list' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key list' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at api-key list' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key show' --arguments '(airoxy complete keys 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at api-key show' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key show' --long-option as-command --description 'show the command that adds the key to another host, where it reads the key on standard input'
complete --command airoxy --condition '__airoxy_at api-key show' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at api-key show' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key enable' --arguments '(airoxy complete keys 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at api-key enable' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key enable' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key disable' --arguments '(airoxy complete keys 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at api-key disable' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key disable' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key toggle' --arguments '(airoxy complete keys 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at api-key toggle' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key toggle' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at api-key remove' --arguments '(airoxy complete keys 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at api-key remove' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at api-key remove' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at api-key remove' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at group' --arguments add --description 'Make a group'
complete --command airoxy --condition '__airoxy_at group' --arguments set --description 'Change a group’s limits, note or name'
complete --command airoxy --condition '__airoxy_at group' --arguments list --description 'List the groups, with what they have spent'
complete --command airoxy --condition '__airoxy_at group' --arguments show --description 'Show a group with its keys and all its limits'
complete --command airoxy --condition '__airoxy_at group' --arguments remove --description 'Remove a group for good'
complete --command airoxy --condition '__airoxy_at group' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at group add' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at group add' --long-option spend-per-day --require-parameter --description 'dollars that may be spent in a day'
complete --command airoxy --condition '__airoxy_at group add' --long-option spend-per-week --require-parameter --description 'dollars that may be spent in a week from Monday on'
complete --command airoxy --condition '__airoxy_at group add' --long-option spend-per-month --require-parameter --description 'dollars that may be spent in a calendar month'
complete --command airoxy --condition '__airoxy_at group add' --long-option spend-total --require-parameter --description 'dollars that may be spent in total, since the beginning'
complete --command airoxy --condition '__airoxy_at group add' --long-option requests-per-minute --require-parameter --description 'requests in any sixty seconds'
complete --command airoxy --condition '__airoxy_at group add' --long-option tokens-per-minute --require-parameter --description 'input and output tokens in any sixty seconds, but those read from the cache'
complete --command airoxy --condition '__airoxy_at group add' --long-option concurrent --require-parameter --description 'requests that may run at the same time'
complete --command airoxy --condition '__airoxy_at group add' --long-option models --require-parameter --arguments '(__airoxy_list (airoxy complete models 2>/dev/null))' --description 'the only models, such as ’claude-haiku-*,claude-sonnet-5’'
complete --command airoxy --condition '__airoxy_at group add' --long-option paths --require-parameter --description 'paths to open beside those that can be counted, such as ’/v1/agents*’'
complete --command airoxy --condition '__airoxy_at group add' --long-option from --require-parameter --description 'the only networks that requests may come from: 192.0.2.0/24,2001:db8::7'
complete --command airoxy --condition '__airoxy_at group add' --long-option note --require-parameter --description 'a note about the group'
complete --command airoxy --condition '__airoxy_at group add' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at group set' --arguments '(airoxy complete groups 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at group set' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at group set' --long-option name --require-parameter --description 'what the group is called'
complete --command airoxy --condition '__airoxy_at group set' --long-option spend-per-day --require-parameter --description 'dollars that may be spent in a day; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option spend-per-week --require-parameter --description 'dollars that may be spent in a week from Monday on; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option spend-per-month --require-parameter --description 'dollars that may be spent in a calendar month; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option spend-total --require-parameter --description 'dollars that may be spent in total, since the beginning; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option requests-per-minute --require-parameter --description 'requests in any sixty seconds; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option tokens-per-minute --require-parameter --description 'input and output tokens in any sixty seconds, but those read from the cache; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option concurrent --require-parameter --description 'requests that may run at the same time; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option models --require-parameter --arguments '(__airoxy_list (airoxy complete models 2>/dev/null))' --description 'the only models, such as ’claude-haiku-*,claude-sonnet-5’; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option paths --require-parameter --description 'paths to open beside those that can be counted, such as ’/v1/agents*’; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option from --require-parameter --description 'the only networks that requests may come from: 192.0.2.0/24,2001:db8::7; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option note --require-parameter --description 'a note about the group; `none` takes it away'
complete --command airoxy --condition '__airoxy_at group set' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at group list' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at group list' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at group list' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at group show' --arguments '(airoxy complete groups 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at group show' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at group show' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at group show' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at group remove' --arguments '(airoxy complete groups 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at group remove' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at group remove' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at group remove' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token' --arguments add --description 'Add a token to the pool'
complete --command airoxy --condition '__airoxy_at token' --arguments auto --description 'Import the logins of Claude Code on this machine'
complete --command airoxy --condition '__airoxy_at token' --arguments list --description 'List the tokens, masked, with their state'
complete --command airoxy --condition '__airoxy_at token' --arguments show --description 'Show all there is to know of a token'
complete --command airoxy --condition '__airoxy_at token' --arguments set --description 'Change a token’s name, note, priority, pool or limits'
complete --command airoxy --condition '__airoxy_at token' --arguments check --description 'Ask Anthropic whether the tokens are good'
complete --command airoxy --condition '__airoxy_at token' --arguments enable --description 'Use a token again'
complete --command airoxy --condition '__airoxy_at token' --arguments disable --description 'Stop using a token'
complete --command airoxy --condition '__airoxy_at token' --arguments toggle --description 'Disable a token, or enable it'
complete --command airoxy --condition '__airoxy_at token' --arguments reset --description 'Clear a token’s cooldowns, deactivation and failures'
complete --command airoxy --condition '__airoxy_at token' --arguments remove --description 'Remove a token for good'
complete --command airoxy --condition '__airoxy_at token' --arguments refresh --description 'Renew OAuth tokens now'
complete --command airoxy --condition '__airoxy_at token' --arguments rotate-key --description 'Encrypt the tokens under a new key'
complete --command airoxy --condition '__airoxy_at token' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token add' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token add' --long-option name --require-parameter --description 'what to call it'
complete --command airoxy --condition '__airoxy_at token add' --long-option expires-in --require-parameter --description 'how long an OAuth token is still valid, such as 8h or 28800 (default: 8h)'
complete --command airoxy --condition '__airoxy_at token add' --long-option no-check --description 'do not ask Anthropic whether the token is good'
complete --command airoxy --condition '__airoxy_at token add' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token auto' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token auto' --long-option dry-run --description 'only show what would be done'
complete --command airoxy --condition '__airoxy_at token auto' --long-option path --require-parameter --force-files --description 'this credential file (default: root’s and every user’s in /home)'
complete --command airoxy --condition '__airoxy_at token auto' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token list' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token list' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at token list' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token show' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token show' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token show' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at token show' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token set' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token set' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token set' --long-option name --require-parameter --description 'what to call it'
complete --command airoxy --condition '__airoxy_at token set' --long-option note --require-parameter --description 'a note about the token; `none` takes it away'
complete --command airoxy --condition '__airoxy_at token set' --long-option priority --require-parameter --description 'of the tokens that are ready those with the highest number are used (default: 0)'
complete --command airoxy --condition '__airoxy_at token set' --long-option pool --require-parameter --description 'the pool that it belongs to, for client keys that may use that pool only; `none` takes it away'
complete --command airoxy --condition '__airoxy_at token set' --long-option spend-per-day --require-parameter --description 'dollars after which the token is not used for the rest of the day; `none` takes it away'
complete --command airoxy --condition '__airoxy_at token set' --long-option spend-per-month --require-parameter --description 'dollars after which it is not used for the rest of the month; `none` takes it away'
complete --command airoxy --condition '__airoxy_at token set' --long-option concurrent --require-parameter --description 'requests that may run with it at once; `none` takes it away'
complete --command airoxy --condition '__airoxy_at token set' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token check' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token check' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token check' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token enable' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token enable' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token enable' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token disable' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token disable' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token disable' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token toggle' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token toggle' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token toggle' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token reset' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token reset' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token reset' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token remove' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token remove' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token remove' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at token remove' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token refresh' --arguments '(airoxy complete tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at token refresh' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token refresh' --long-option id --require-parameter --description 'the same'
complete --command airoxy --condition '__airoxy_at token refresh' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at token rotate-key' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at token rotate-key' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at logs' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at logs' --long-option limit --require-parameter --description 'how many (default: 50)'
complete --command airoxy --condition '__airoxy_at logs' --long-option today --description 'only today’s'
complete --command airoxy --condition '__airoxy_at logs' --long-option date --require-parameter --description 'only this day’s (2026-11-22)'
complete --command airoxy --condition '__airoxy_at logs' --long-option since --require-parameter --description 'only from then on (2h ago, 2026-11-22T17:30, 17:30)'
complete --command airoxy --condition '__airoxy_at logs' --long-option until --require-parameter --description 'only those before then'
complete --command airoxy --condition '__airoxy_at logs' --long-option failed --description 'only those that failed'
complete --command airoxy --condition '__airoxy_at logs' --long-option status --require-parameter --description 'only with this status (429, 5xx; several with commas)'
complete --command airoxy --condition '__airoxy_at logs' --long-option model --require-parameter --arguments '(airoxy complete models 2>/dev/null)' --description 'only with this model (opus-*, quoted; several with commas)'
complete --command airoxy --condition '__airoxy_at logs' --long-option request --require-parameter --description 'only the request with this id (req_…, from an answer)'
complete --command airoxy --condition '__airoxy_at logs' --long-option token --require-parameter --arguments '(airoxy complete tokens 2>/dev/null)' --description 'only those with this token (id or name)'
complete --command airoxy --condition '__airoxy_at logs' --long-option key --require-parameter --arguments '(airoxy complete keys 2>/dev/null)' --description 'only those with this client key (id or name)'
complete --command airoxy --condition '__airoxy_at logs' --long-option group --require-parameter --arguments '(airoxy complete groups 2>/dev/null)' --description 'only those with a client key of this group (id or name)'
complete --command airoxy --condition '__airoxy_at logs' --long-option wide --description 'also attempts, first byte, ending and request id'
complete --command airoxy --condition '__airoxy_at logs' --long-option color --require-parameter --arguments 'auto always never' --description 'whether the status has a colour (default: on a terminal)'
complete --command airoxy --condition '__airoxy_at logs' --long-option follow --description 'go on with those that come, until Ctrl-C'
complete --command airoxy --condition '__airoxy_at logs' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at logs' --long-option host --require-parameter --description 'of a fleet only the host of this name'
complete --command airoxy --condition '__airoxy_at logs' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at stats' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at stats' --long-option today --description 'only today'
complete --command airoxy --condition '__airoxy_at stats' --long-option month --require-parameter --arguments '(airoxy complete months 2>/dev/null)' --description 'only this month, or that one'
complete --command airoxy --condition '__airoxy_at stats' --long-option since --require-parameter --description 'only from this day on (2026-11-22, 7d ago)'
complete --command airoxy --condition '__airoxy_at stats' --long-option until --require-parameter --description 'only before this day'
complete --command airoxy --condition '__airoxy_at stats' --long-option cache --description 'also what share of the prompt came from the cache, and what that saved'
complete --command airoxy --condition '__airoxy_at stats' --long-option token --require-parameter --arguments '(airoxy complete tokens 2>/dev/null)' --description 'only with this token (id or name)'
complete --command airoxy --condition '__airoxy_at stats' --long-option key --require-parameter --arguments '(airoxy complete keys 2>/dev/null)' --description 'only with this client key (id or name)'
complete --command airoxy --condition '__airoxy_at stats' --long-option group --require-parameter --arguments '(airoxy complete groups 2>/dev/null)' --description 'only with the client keys of this group (id or name)'
complete --command airoxy --condition '__airoxy_at stats' --long-option by --require-parameter --arguments 'day model token key group host hour' --description 'divided by day, model, token, key, group, host (of the fleet), or hour (where there are detailed rows)'
complete --command airoxy --condition '__airoxy_at stats' --long-option report --require-parameter --arguments 'month' --description 'the report on --month (default: this one)'
complete --command airoxy --condition '__airoxy_at stats' --long-option format --require-parameter --arguments 'text html csv json' --description 'how the report is written (default: text)'
complete --command airoxy --condition '__airoxy_at stats' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at stats' --long-option host --require-parameter --description 'of a fleet only the host of this name'
complete --command airoxy --condition '__airoxy_at stats' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at top' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at top' --long-option here --description 'of a fleet only this host'
complete --command airoxy --condition '__airoxy_at audit' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at audit' --long-option limit --require-parameter --description 'how many, the newest (default: 50)'
complete --command airoxy --condition '__airoxy_at audit' --long-option since --require-parameter --description 'only from then on (30d ago, 2026-11-22T17:30, 17:30)'
complete --command airoxy --condition '__airoxy_at audit' --long-option until --require-parameter --description 'only those before then'
complete --command airoxy --condition '__airoxy_at audit' --long-option key --require-parameter --arguments '(airoxy complete keys 2>/dev/null)' --description 'only those of this client key (id or name)'
complete --command airoxy --condition '__airoxy_at audit' --long-option group --require-parameter --arguments '(airoxy complete groups 2>/dev/null)' --description 'only those of this group (id or name)'
complete --command airoxy --condition '__airoxy_at audit' --long-option token --require-parameter --arguments '(airoxy complete tokens 2>/dev/null)' --description 'only those of this token (id or name)'
complete --command airoxy --condition '__airoxy_at audit' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at apply' --force-files
complete --command airoxy --condition '__airoxy_at apply' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at apply' --long-option dry-run --description 'show what would be changed'
complete --command airoxy --condition '__airoxy_at apply' --long-option prune --description 'remove keys and groups that are not in FILE'
complete --command airoxy --condition '__airoxy_at apply' --long-option secrets-to --require-parameter --force-files --description 'add the secrets of new keys to this file (YAML, mode 0600) instead of showing them'
complete --command airoxy --condition '__airoxy_at apply' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at apply' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at export' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at export' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at fleet' --arguments join --description 'Join a fleet of hosts that meet in a PostgreSQL database'
complete --command airoxy --condition '__airoxy_at fleet' --arguments status --description 'Show the hosts, and how up to date this one is'
complete --command airoxy --condition '__airoxy_at fleet' --arguments leave --description 'Take this host out of the fleet'
complete --command airoxy --condition '__airoxy_at fleet' --arguments forget --description 'Forget a host that is gone for good'
complete --command airoxy --condition '__airoxy_at fleet' --arguments agent --description 'Run the agent in the foreground'
complete --command airoxy --condition '__airoxy_at fleet' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option first --description 'make the fleet; this is its first host'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option name --require-parameter --description 'what the fleet calls this host (default: its host name)'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option password-file --require-parameter --force-files --description 'where the password is; it is kept beside the database'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option token-key --require-parameter --force-files --description 'where the key of the fleet’s tokens is, as 64 digits'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option anew --description 'join as another host, where the database is a copy of one that was in the fleet'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option dry-run --description 'only show what would change'
complete --command airoxy --condition '__airoxy_at fleet join' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at fleet status' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at fleet status' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at fleet leave' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at fleet leave' --long-option force --description 'also where PostgreSQL cannot be reached'
complete --command airoxy --condition '__airoxy_at fleet leave' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at fleet leave' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at fleet forget' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at fleet forget' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at fleet forget' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at fleet agent' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at prices' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at prices' --long-option recost --description 'compute costs again, by the prices in force'
complete --command airoxy --condition '__airoxy_at prices' --long-option since --require-parameter --description 'with --recost: from this day on, in UTC (2026-11-22)'
complete --command airoxy --condition '__airoxy_at prices' --long-option dry-run --description 'with --recost: only say what would change'
complete --command airoxy --condition '__airoxy_at prices' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console' --arguments user --description 'Manage the users of the console'
complete --command airoxy --condition '__airoxy_at console' --arguments token --description 'Manage the tokens of programs that use the console’s API'
complete --command airoxy --condition '__airoxy_at console' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user' --arguments add --description 'Add a user and print a link that logs in once'
complete --command airoxy --condition '__airoxy_at console user' --arguments link --description 'Print a new login link for a user'
complete --command airoxy --condition '__airoxy_at console user' --arguments list --description 'List the users'
complete --command airoxy --condition '__airoxy_at console user' --arguments set --description 'Change what a user may do'
complete --command airoxy --condition '__airoxy_at console user' --arguments logout --description 'End all sessions of a user'
complete --command airoxy --condition '__airoxy_at console user' --arguments remove --description 'Remove a user for good'
complete --command airoxy --condition '__airoxy_at console user' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user add' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user add' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console user add' --long-option role --require-parameter --arguments 'viewer admin' --description 'a viewer looks, an admin changes things as well (default: viewer)'
complete --command airoxy --condition '__airoxy_at console user link' --arguments '(airoxy complete users 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at console user link' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user link' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console user list' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user list' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console user set' --arguments '(airoxy complete users 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at console user set' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user set' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console user set' --long-option role --require-parameter --arguments 'viewer admin' --description 'what the user may do'
complete --command airoxy --condition '__airoxy_at console user set' --long-option no-passphrase --description 'take the passphrase away; links go on'
complete --command airoxy --condition '__airoxy_at console user logout' --arguments '(airoxy complete users 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at console user logout' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user logout' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console user remove' --arguments '(airoxy complete users 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at console user remove' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console user remove' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console user remove' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at console token' --arguments add --description 'Make a token for a program and show it once'
complete --command airoxy --condition '__airoxy_at console token' --arguments list --description 'List the tokens, masked'
complete --command airoxy --condition '__airoxy_at console token' --arguments remove --description 'Remove a token for good'
complete --command airoxy --condition '__airoxy_at console token' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console token add' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console token add' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console token add' --long-option role --require-parameter --arguments 'viewer admin' --description 'a viewer reads, an admin changes things as well (default: viewer)'
complete --command airoxy --condition '__airoxy_at console token add' --long-option expires-in --require-parameter --description 'how long it works, such as 24h or 90d (default: 90d)'
complete --command airoxy --condition '__airoxy_at console token list' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console token list' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console token remove' --arguments '(airoxy complete api-tokens 2>/dev/null)'
complete --command airoxy --condition '__airoxy_at console token remove' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at console token remove' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at console token remove' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at notify' --arguments test --description 'Send a test warning by every configured way'
complete --command airoxy --condition '__airoxy_at notify' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at notify test' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at notify test' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at config' --arguments show --description 'Show the configuration in force and where it comes from'
complete --command airoxy --condition '__airoxy_at config' --arguments check --description 'Name every mistake in the configuration, with its line'
complete --command airoxy --condition '__airoxy_at config' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at config show' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at config show' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at config check' --force-files
complete --command airoxy --condition '__airoxy_at config check' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at backup' --force-files
complete --command airoxy --condition '__airoxy_at backup' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at backup' --long-option force --description 'replace FILE if it is there'
complete --command airoxy --condition '__airoxy_at backup' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at restore' --force-files
complete --command airoxy --condition '__airoxy_at restore' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at restore' --long-option drill --description 'disable the OAuth tokens in it and the timer that refreshes them: a refresh token works once, and practice must not use up those of production'
complete --command airoxy --condition '__airoxy_at restore' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at start' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at stop' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at restart' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at reload' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at status' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at status' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at doctor' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at doctor' --long-option fix --description 'repair what can be repaired'
complete --command airoxy --condition '__airoxy_at doctor' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at update' --force-files
complete --command airoxy --condition '__airoxy_at update' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at uninstall' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at uninstall' --long-option purge --description 'remove configuration and data, too'
complete --command airoxy --condition '__airoxy_at uninstall' --long-option yes --description 'do not ask for confirmation'
complete --command airoxy --condition '__airoxy_at import-php' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at import-php' --long-option dry-run --description 'only show what would be done'
complete --command airoxy --condition '__airoxy_at import-php' --long-option force --description 'add what is new there since it was taken over'
complete --command airoxy --condition '__airoxy_at import-php' --long-option json --description 'print one JSON document'
complete --command airoxy --condition '__airoxy_at serve' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at job' --arguments refresh-tokens --description 'Renew every active OAuth token'
complete --command airoxy --condition '__airoxy_at job' --arguments tidy-log --description 'Delete detailed rows that are older than log_retention_days'
complete --command airoxy --condition '__airoxy_at job' --arguments notify --description 'Send the warnings that are due'
complete --command airoxy --condition '__airoxy_at job' --arguments pass-certificate --description 'Hand renewed certificate and key to the service'
complete --command airoxy --condition '__airoxy_at job' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at job refresh-tokens' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at job tidy-log' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at job notify' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at job pass-certificate' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at help' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at version' --long-option help --description 'show this help message and exit'
complete --command airoxy --condition '__airoxy_at complete' --long-option help --description 'show this help message and exit'
