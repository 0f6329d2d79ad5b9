//! A second Prometheus that receives nothing and only reads the service's `/metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::time::Duration;

use xtask::ports::Ports;
use xtask::process::Launch;
use xtask::stack::targets;
use xtask::{http, process};

use super::lab::{Lab, PATIENCE, wait_for};

/// The running program; ended when dropped.
pub(super) struct Scraper {
    child: Child,
    pub(super) port: u16,
}

impl Scraper {
    pub(super) fn start(lab: &Lab) -> Self {
        let (config, port) = (lab.stack.config(), Ports::free().unwrap().prometheus);
        let dir = config.root.join("scraper");
        targets::write_scrape_only(config, &dir).unwrap();
        let launch = Launch {
            name: "second prometheus",
            program: config.programs.as_ref().unwrap().prometheus.clone(),
            args: vec![
                format!("--config.file={}", dir.join("prometheus.yml").display()).into(),
                format!("--storage.tsdb.path={}", dir.join("data").display()).into(),
                format!("--web.listen-address=127.0.0.1:{port}").into(),
                "--enable-feature=exemplar-storage".into(),
            ],
            dir: None,
            env: BTreeMap::new(),
            env_remove: config.env_remove.clone(),
            ready: None,
            stop_within: Duration::ZERO,
        };
        let log = dir.join("log");
        let scraper = Self { child: launch.spawn(&log).unwrap(), port };
        let ready = format!("http://127.0.0.1:{port}/-/ready");
        wait_for("the second Prometheus is ready", PATIENCE, || {
            let answer = http::is_ready(&ready);
            assert!(process::Identity::of(scraper.child.id()).is_some(), "{:?}", process::tail(&log, 20));
            answer.is_ok()
        });
        scraper
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The metric names of the service's series in the Prometheus on `port`.
pub(super) fn names(lab: &Lab, port: u16) -> BTreeSet<String> {
    let answer = lab.ask(port, "/api/v1/label/__name__/values?match%5B%5D=%7Bjob%3D%22phaselab%22%7D").unwrap();
    answer["data"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}
