//! Which behaviours there are, which connectors, and what each cell of the two does. Every match is without a wildcard,
//! so that a new behaviour or a new connector does not build before somebody has said what becomes of its cells.

use std::fmt;
use std::pin::Pin;

use crossdock::model::System;

use crate::cells::{access, doubts, limits, pages, refusals, secrets, texts};
use crate::rig::Bench;

pub type Run = for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

pub enum Cell {
    Runs(Run),
    /// And why not.
    NotApplicable(&'static str),
}

/// A cell that runs this function.
macro_rules! runs {
    ($function:expr) => {
        $crate::matrix::Cell::Runs(|bench| Box::pin($function(bench)))
    };
}
pub(crate) use runs;

macro_rules! listed {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $text),+ })
            }
        }
    };
}

listed! {
    /// What can happen.
    Behaviour {
        FirstPage = "first page",
        EmptyPage = "empty page",
        LastPage = "last page",
        MovingRows = "moving rows",
        ThrottledWithWait = "throttled, with a wait",
        ThrottledWithoutWait = "throttled, without a wait",
        FailureInside = "200 with a failure inside",
        SessionEnds = "token or session ends in the middle",
        SecretRotated = "secret rotated",
        DuplicateWrite = "duplicate write",
        ResponseLost = "response lost after commit",
        HalfRefused = "half a batch refused",
        Gbk = "answer in GBK",
        ControlCharacters = "control characters",
        CommitAfterDrop = "committed after the connection dropped",
        ShownLate = "list shows a saved bill late",
        CutOff = "answer cut off",
        Huge = "40 MiB answer",
        WrongClock = "clock wrong by eleven minutes",
        SecretsUnsaid = "secrets unsaid",
    }
}

listed! {
    /// A connector, from the one side or the other.
    Subject {
        JushuitanSaleouts = "jushuitan_qimen source",
        WangdiantongStockins = "wangdiantong_qimen source",
        U8Saleouts = "yonyou_u8 source",
        WangdiantongTrades = "wangdiantong_qimen target",
        K3cloudBills = "kingdee_k3cloud target",
        JdyBills = "kingdee_jdy target",
        JdyLists = "kingdee_jdy lists",
    }
}

impl Behaviour {
    pub fn cell(self, subject: Subject) -> Cell {
        match self {
            Behaviour::FirstPage => pages::first(subject),
            Behaviour::EmptyPage => pages::empty(subject),
            Behaviour::LastPage => pages::last(subject),
            Behaviour::MovingRows => pages::moving(subject),
            Behaviour::ThrottledWithWait => limits::with_wait(subject),
            Behaviour::ThrottledWithoutWait => limits::without_wait(subject),
            Behaviour::FailureInside => refusals::inside(subject),
            Behaviour::SessionEnds => access::session_ends(subject),
            Behaviour::SecretRotated => access::secret_rotated(subject),
            Behaviour::DuplicateWrite => refusals::duplicate(subject),
            Behaviour::ResponseLost => doubts::response_lost(subject),
            Behaviour::HalfRefused => refusals::half(subject),
            Behaviour::Gbk => texts::gbk(subject),
            Behaviour::ControlCharacters => texts::control_characters(subject),
            Behaviour::CommitAfterDrop => doubts::commit_after_drop(subject),
            Behaviour::ShownLate => doubts::shown_late(subject),
            Behaviour::CutOff => doubts::cut_off(subject),
            Behaviour::Huge => limits::huge(subject),
            Behaviour::WrongClock => access::wrong_clock(subject),
            Behaviour::SecretsUnsaid => secrets::unsaid(subject),
        }
    }
}

impl Subject {
    /// All sides of a system that connectors exist for.
    fn of(system: System) -> &'static [Subject] {
        match system {
            System::JushuitanQimen => &[Subject::JushuitanSaleouts],
            System::WangdiantongQimen => &[Subject::WangdiantongStockins, Subject::WangdiantongTrades],
            System::YonyouU8 => &[Subject::U8Saleouts],
            System::KingdeeK3cloud => &[Subject::K3cloudBills],
            System::KingdeeJdy => &[Subject::JdyBills, Subject::JdyLists],
        }
    }

    pub fn system(self) -> System {
        match self {
            Subject::JushuitanSaleouts => System::JushuitanQimen,
            Subject::WangdiantongStockins | Subject::WangdiantongTrades => System::WangdiantongQimen,
            Subject::U8Saleouts => System::YonyouU8,
            Subject::K3cloudBills => System::KingdeeK3cloud,
            Subject::JdyBills | Subject::JdyLists => System::KingdeeJdy,
        }
    }

    /// What the simulator calls the request that the connector is there for.
    pub fn operation(self) -> &'static str {
        match self {
            Subject::JushuitanSaleouts => "jushuitan.saleout.list.query",
            Subject::WangdiantongStockins => "wdt.stockin.order.query",
            Subject::U8Saleouts => "saleoutlist/batch_get",
            Subject::WangdiantongTrades => "wdt.trade.push",
            Subject::K3cloudBills => "batchsave",
            Subject::JdyBills => "inv_check_gain_bill_save",
            Subject::JdyLists => "material_list",
        }
    }

    /// The ways of proving who asks, as settings of a connection.
    pub fn ways(self) -> &'static [&'static str] {
        match self {
            Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::WangdiantongTrades => {
                &["", "sign_method = \"hmac\"", "sign_method = \"md5\""]
            }
            Subject::U8Saleouts => &[""],
            Subject::K3cloudBills => &[
                "auth = \"login_by_sign\"",
                "auth = \"login_by_sign\"\nsign_hash = \"sha1\"",
                "auth = \"login_by_app_secret\"",
                "auth = \"validate_user\"",
                "auth = \"signature\"",
            ],
            Subject::JdyBills | Subject::JdyLists => &["", "auth = \"access_token\""],
        }
    }

    /// What the simulator calls the request by which a target is asked.
    pub fn question(self) -> &'static str {
        match self {
            Subject::K3cloudBills => "executebillquery",
            Subject::JdyBills => "inv_check_gain_bill_list",
            Subject::JushuitanSaleouts
            | Subject::WangdiantongStockins
            | Subject::U8Saleouts
            | Subject::WangdiantongTrades
            | Subject::JdyLists => self.operation(),
        }
    }
}

#[test]
fn every_system_is_in_the_matrix() {
    for subject in Subject::ALL {
        assert!(Subject::of(subject.system()).contains(subject), "{subject}");
    }
    for system in [
        System::JushuitanQimen,
        System::WangdiantongQimen,
        System::YonyouU8,
        System::KingdeeK3cloud,
        System::KingdeeJdy,
    ] {
        assert!(Subject::of(system).iter().all(|subject| Subject::ALL.contains(subject)), "{system}");
    }
}
