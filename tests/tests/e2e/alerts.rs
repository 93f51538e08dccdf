//! What stalls is told to the webhook, once and by name.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::wait::{Waiting, until};

use crate::{PATIENCE, finish, told, world};

/// A chat room on loopback that keeps what is posted to it.
struct Ear {
    address: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Ear {
    fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = format!("http://{}/room", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<Value>>>::default();
        let keeps = heard.clone();
        // Ends with the process: nobody has to be told.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                keeps.lock().unwrap().push(posted(stream.unwrap()));
            }
        });
        Self { address, heard }
    }

    /// Waits for the alert, and gives it.
    #[track_caller]
    fn hears(&self, alert: &str) -> Value {
        told(until(PATIENCE, alert, || {
            let heard = self.heard.lock().unwrap();
            heard.iter().find(|one| one["alert"] == alert).cloned().ok_or_else(|| Waiting::on(format!("{heard:?}")))
        }))
    }

    fn count(&self, alert: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|one| one["alert"] == alert).count()
    }
}

/// Reads one post and says that it was taken.
fn posted(mut stream: TcpStream) -> Value {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_vendor_that_stays_away_and_a_disk_that_is_nearly_full_are_told_once() {
    let arguments = ["--documents", "40", "--seed", "83", "--fault", "drop_before,system=kingdee_k3cloud"];
    let ear = Ear::open();
    let engine = format!("down_after = \"1s\"\nwebhook = \"{}\"", ear.address);
    let scheme = Scheme { keys: "batch_size = 5".to_owned(), ..Scheme::default() };
    let mut world = world(&arguments, &Settings { engine, schemes: vec![scheme], ..Settings::default() });
    let engine = told(world.start());
    let down = ear.hears("connection_down");
    assert_eq!((down["tenant"].as_str(), down["connection"].as_str()), (Some("default"), Some("k3")), "{down}");
    assert!(down["message"].as_str().unwrap().contains("connection k3 of default has been down"), "{down}");
    assert!(engine.log().contains("the vendor counts as down"), "{}", engine.log_tail());
    told(world.simulator.clear_faults());
    told(world.product.succeed(&["resume", "--connection", "k3"]));
    finish(&world, engine);
    assert_eq!(ear.count("connection_down"), 1, "told once, however long it lasted");

    crate::traffic::keep_free(&world, 1 << 50);
    let mut engine = told(world.start());
    let disk = ear.hears("disk_low");
    assert!(disk["free_bytes"].is_u64() && disk["message"].as_str().unwrap().contains("nothing is read"), "{disk}");
    told(engine.terminate());
}

#[test]
fn a_scheme_whose_credentials_somebody_replaced_is_told_with_the_reason() {
    let arguments = ["--documents", "5", "--seed", "84", "--fault", "rotate_secret,system=kingdee_k3cloud,count=1"];
    let ear = Ear::open();
    let engine = format!("webhook = \"{}\"", ear.address);
    let mut world = world(&arguments, &Settings { engine, ..Settings::default() });
    let mut engine = told(world.start());
    let paused = ear.hears("scheme_paused");
    assert_eq!((paused["tenant"].as_str(), paused["scheme"].as_str()), (Some("default"), Some("saleout")), "{paused}");
    assert!(paused["reason"].as_str().unwrap().contains("connection k3"), "{paused}");
    told(engine.terminate());
}
