//! The demo's offices and the accounts to log in with.

use crate::app::App;
use crate::auth::{self, NewUser};
use crate::domain::actor::Role;
use crate::error::{Error, Result};
use crate::storage::accounts::{self, Unit};
use crate::storage::events::PlainEvent;
use crate::storage::migrate;

/// The password of every account of the demo. It protects nothing: the demo serves this machine alone.
pub const PASSWORD: &str = "tundra lantern quartz ferry";

/// An account of the demo.
#[derive(Debug, Clone, Copy)]
pub struct DemoAccount {
    /// The part of the address before the `@`.
    pub login: &'static str,
    /// The name to show.
    pub name: &'static str,
    /// The role.
    pub role: Role,
    /// The unit's code.
    pub unit: Option<&'static str>,
}

impl DemoAccount {
    /// Gives the address to log in with.
    #[must_use]
    pub fn email(&self) -> String {
        format!("{}@demo.propusk.example", self.login)
    }
}

const fn account(
    login: &'static str,
    name: &'static str,
    role: Role,
    unit: Option<&'static str>,
) -> DemoAccount {
    DemoAccount { login, name, role, unit }
}

/// The accounts to log in with.
pub const ACCOUNTS: [DemoAccount; 10] = [
    account("migrant", "Рустам Каримов", Role::Migrant, None),
    account("employer", "ООО «СтройГрад»", Role::Employer, None),
    account("officer1", "Анна Петрова", Role::Officer, Some("77")),
    account("officer2", "Борис Смирнов", Role::Officer, Some("77")),
    account("senior", "Галина Орлова", Role::SeniorOfficer, Some("77")),
    account("officer78", "Вера Иванова", Role::Officer, Some("78")),
    account("senior78", "Дмитрий Лебедев", Role::SeniorOfficer, Some("78")),
    account("officer50", "Елена Соколова", Role::Officer, Some("50")),
    account("auditor", "Захар Кузнецов", Role::Auditor, None),
    account("admin", "Ирина Волкова", Role::Administrator, None),
];

/// The offices: code and name.
pub const UNITS: [(&str, &str); 3] =
    [("77", "Москва"), ("78", "Санкт-Петербург"), ("50", "Московская область")];

/// Adds the offices and the accounts.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn settle(app: &App, owner_url: &str) -> Result<()> {
    let mut conn = migrate::connect(owner_url).await?;
    for (code, title) in UNITS {
        let unit = Unit {
            code: code.to_owned(),
            title: title.to_owned(),
            region: code.to_owned(),
            time_zone: "Europe/Moscow".to_owned(),
        };
        let content = serde_json::json!({
            "title": unit.title, "region": unit.region, "timeZone": unit.time_zone,
        });
        let event = PlainEvent::now(&*app.clock, "unitAdded", auth::OPERATOR, content)
            .in_unit(Some(code.to_owned()));
        accounts::insert_unit(&mut conn, &unit, &event).await?;
    }
    for account in ACCOUNTS {
        let user = NewUser {
            email: account.email(),
            name: account.name.to_owned(),
            role: account.role,
            unit: account.unit.map(str::to_owned),
            password: PASSWORD.to_owned(),
        };
        auth::add_user(&app.db, &*app.clock, &app.passwords, user, None).await.map_err(
            |error| Error::internal(format!("cannot add the account {}", account.login), error),
        )?;
    }
    Ok(())
}
