/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Publish events.
    Publisher = 1,
    /// Claim and decide cases.
    Moderator = 2,
    /// Read figures, alerts and the queue.
    Reader = 4,
    /// Read the audit chains: what the holders of the team's keys did; of an operator's key, what everybody did.
    Auditor = 8,
    /// Read the daily aggregates for researchers, and nothing else.
    Researcher = 16,
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Role {
    /// All roles.
    pub const ALL: [Role; 5] = [
        Role::Publisher,
        Role::Moderator,
        Role::Reader,
        Role::Auditor,
        Role::Researcher,
    ];

    /// Its name in the command line and the store.
    pub fn name(self) -> &'static str {
        match self {
            Role::Publisher => "publisher",
            Role::Moderator => "moderator",
            Role::Reader => "reader",
            Role::Auditor => "auditor",
            Role::Researcher => "researcher",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl Roles {
    /// These roles.
    pub fn of(roles: &[Role]) -> Roles {
        Roles(roles.iter().fold(0, |set, role| set | *role as u8))
    }

    /// Every role.
    pub fn all() -> Roles {
        Roles::of(&Role::ALL)
    }

    /// Whether `role` is among them.
    pub fn contains(self, role: Role) -> bool {
        self.0 & role as u8 != 0
    }

    /// Whether all of them are among `others`.
    pub fn are_within(self, others: Roles) -> bool {
        self.0 & !others.0 == 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }

    pub(crate) fn text(self) -> String {
        self.iter().map(Role::name).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn from_text(text: &str) -> Option<Roles> {
        let roles: Option<Vec<Role>> = text.split(' ').map(Role::from_name).collect();
        roles.map(|roles| Roles::of(&roles))
    }
}
