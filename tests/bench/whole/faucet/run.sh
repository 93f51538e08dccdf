#!/bin/sh
# Moves everything that the settings name, in one run of the pipeline. usage: run.sh FAUCET SETTINGS; it needs jq.
set -eu

here=$(dirname "$0")
built=$(dirname "$(dirname "$1")")
export MODULE="$built/wasm32-unknown-unknown/release/crossdock_whole_faucet.wasm"
# faucet puts a slash between an address and its path, so it gets them apart.
eval "$(jq -r '
  {
    SOURCE: (.source.base_url | rtrimstr("/router/qm")), APP_KEY: .source.app_key, TARGET_APP_KEY: .source.target_app_key,
    CUSTOMER_ID: .source.customer_id, WINDOW_START: .window.start, WINDOW_END: .window.end,
    TARGET: .target.base_url, ACCT_ID: .target.acct_id, USER_NAME: .target.user_name, PASSWORD: .target.password
  } | to_entries[] | @sh "export \(.key)=\(.value)"' "$2")"
exec "$1" run "$here/pipeline.yaml"
