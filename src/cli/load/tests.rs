//! Arguments and exit codes of `phaselab load`.

use axum::Router;
use axum::http::StatusCode;
use clap::{CommandFactory, Parser};

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: LoadArgs,
}

fn parse(arguments: &[&str]) -> Result<LoadArgs, clap::Error> {
    Command::try_parse_from([&["load"], arguments].concat()).map(|command| command.args)
}

#[test]
fn the_defaults_suit_the_lab() {
    Command::command().debug_assert();
    let plan = parse(&[]).unwrap().plan().unwrap();
    assert_eq!(plan.target.to_string(), "http://127.0.0.1:8080");
    assert_eq!(plan.profile.to_string(), "50x30s");
    assert_eq!(plan.mix.to_string(), "fast=8,slow=1,error=1");
}

#[test]
fn steps_and_templates_are_read() {
    let arguments = ["--steps", "10x10s,50x20s", "--mix", "null=2,slow=1", "--template", "null=/healthz"];
    let plan = parse(&arguments).unwrap().plan().unwrap();
    assert_eq!(plan.profile.to_string(), "10x10s,50x20s");
    assert_eq!(plan.mix.to_string(), "null=2,slow=1");
}

#[tokio::test]
async fn bad_arguments_are_refused_with_the_fix() {
    let by_clap: [(&[&str], &str); 6] = [
        (&["--duration", "30"], "write for example 30s"),
        (&["--steps", "10"], "10x10s,50x20s"),
        (&["--steps", "1x1s", "--rate", "5"], "cannot be used with"),
        (&["--template", "healthz"], "null=/healthz"),
        (&["--timeout", "0s"], "at most 1h"),
        (&["--max-in-flight", "0"], "1..=10000"),
    ];
    for (arguments, fix) in by_clap {
        let error = parse(arguments).unwrap_err().to_string();
        assert!(error.contains(fix), "{arguments:?}: {error}");
    }
    let by_plan: [(&[&str], &str); 5] = [
        (&["--rate", "0"], "write for example 50"),
        (&["--rate", "NaN"], "write for example 50"),
        (&["--mix", "other=1"], "fast, slow, error"),
        (&["http://example.com"], "--allow-remote"),
        (&["https://127.0.0.1"], "http://127.0.0.1:8080"),
    ];
    for (arguments, fix) in by_plan {
        let args = parse(arguments).unwrap();
        let error = args.clone().plan().unwrap_err();
        assert!(error.contains(fix), "{arguments:?}: {error}");
        assert_eq!(run(args).await, ExitCode::from(64));
    }
}

async fn exit_code(router: Router) -> ExitCode {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let args = ["--rate", "100", "--duration", "50ms", "--template", "fast=/a", "--template", "slow=/b"];
    run(parse(&[&[target.as_str(), "--mix", "fast=1,slow=1"][..], &args].concat()).unwrap()).await
}

#[tokio::test]
async fn one_success_is_enough_and_none_is_a_failure() {
    let half = Router::new().route("/a", axum::routing::get(|| async {}));
    assert_eq!(exit_code(half).await, ExitCode::SUCCESS);
    let none = Router::new().fallback(|| async { StatusCode::SERVICE_UNAVAILABLE });
    assert_eq!(exit_code(none).await, ExitCode::from(1));
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let args = parse(&["http://127.0.0.1:1", "--rate", "100", "--duration", "50ms", "--json"]).unwrap();
    assert_eq!(run(args).await, ExitCode::from(1));
}

#[tokio::test]
async fn the_scenarios_take_their_own_flags_only() {
    let plan = parse(&["--scenario", "websocket"]).unwrap().game().unwrap();
    assert_eq!((plan.players, plan.slow, plan.rate, plan.room.as_str()), (50, 0, 10.0, "bots"));
    let by_clap: [(&[&str], &str); 3] = [
        (&["--scenario", "chess"], "http, websocket"),
        (&["--players", "1001"], "1..=1000"),
        (&["--players", "0"], "1..=1000"),
    ];
    for (arguments, fix) in by_clap {
        let error = parse(arguments).unwrap_err().to_string();
        assert!(error.contains(fix), "{arguments:?}: {error}");
    }
    let by_plan: [(&[&str], &str); 7] = [
        (&["--players", "5"], "--players belongs to --scenario websocket"),
        (&["--scenario", "websocket", "--mix", "fast=1"], "--mix belongs to --scenario http"),
        (&["--scenario", "websocket", "--steps", "1x1s"], "--steps belongs to --scenario http"),
        (&["--scenario", "websocket", "--rate", "0"], "write for example 10"),
        (&["--scenario", "websocket", "--duration", "0s"], "write for example 20s"),
        (&["--scenario", "websocket", "--players", "2", "--slow-players", "2"], "a smaller --slow-players"),
        (&["--scenario", "websocket", "http://192.0.2.1"], "--allow-remote"),
    ];
    for (arguments, fix) in by_plan {
        let args = parse(arguments).unwrap();
        let error = match args.scenario {
            Scenario::Http => args.clone().plan().unwrap_err(),
            Scenario::Websocket => args.clone().game().unwrap_err(),
        };
        assert!(error.contains(fix), "{arguments:?}: {error}");
        assert_eq!(run(args).await, ExitCode::from(64));
    }
}
