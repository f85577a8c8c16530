# What applicants read in English. Every message here exists in every language with the same variables.

date = { $day } { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
} { $year }
thousands = ,
money = RUB { $roubles }.{ $kopecks }

accepted-subject = Application { $reference }: accepted
accepted-body =
    Your application has been accepted.

    The office has to decide by { $due }. If it asks you for something, the time until your answer is not counted.
accepted-body-undated =
    Your application has been accepted.

    The status page shows by when the office has to decide.

date-changed-subject = Application { $reference }: the date of the decision has changed
date-changed-body = The office now has to decide by { $due }. The status page explains the date.

alert-due-soon-subject = { $reference }: due on { $due }
alert-due-soon-body = Application { $reference } ({ $unit }) has to be decided by { $due }.
alert-overdue-subject = { $reference }: a date has passed
alert-overdue-body = A date of application { $reference } ({ $unit }) has passed. It stands in the overdue queue.
alert-duty-subject = { $reference }: a duty is overdue
alert-duty-body = The last day of a duty after issue of application { $reference } ({ $unit }) has passed. It stands in the queue of overdue duties; nothing follows by itself.
alert-link = Application: { $link }

information-requested-subject = Application { $reference }: the office needs something from you
information-requested-body =
    { $count ->
        [one] To go on, the office needs one thing from you, by { $due }:
       *[other] To go on, the office needs { $count } things from you, the last of them by { $due }:
    }
information-requested-closing = Until then the time in which the office has to decide stands still. What is asked and why is on the status page.
reminder-subject = Application { $reference }: something is still awaited from you
reminder-body = This is a reminder: your application cannot go on without you.
reminder-paid-subject = Application { $reference }: the paid period of your permit ends
reminder-paid-body =
    Your permit is paid until { $paid }, that day included. If the next month is not paid by then, it ends by itself, and what is paid later does not bring it back.

    Each month that you pay prolongs it, up to its last day; you can pay several at once.
item = { $subject } – by { $due }
kind-document = Document: { $subject }
kind-field = In the form: { $subject }
kind-visit = A personal visit: { $subject }

decided-granted-subject = Application { $reference }: granted
decided-granted-body = Your application has been granted.
decided-granted-payment =
    { $count ->
        [one] One payment is needed before the permit can be handed over:
       *[other] { $count } payments are needed before the permit can be handed over:
    }
charge = { $title }: { $amount }, UIN { $uin }
charge-hint = Quote the UIN exactly as it stands here: the payment is recognised by it.

decided-refused-subject = Application { $reference }: refused
decided-refused-body =
    Your application has been refused.

    { $count ->
        [one] Code of the ground: { $grounds }
       *[other] Codes of the grounds: { $grounds }
    }
intake-refused-subject = Application { $reference }: not taken in
intake-refused-body =
    Your application could not be taken in.

    { $count ->
        [one] Code of the reason: { $grounds }
       *[other] Codes of the reasons: { $grounds }
    }

    Once this is put right you may apply again.
appeal = You may complain about this decision to the higher authority or to a court. The decision itself says where and within what time. What each code means is on the status page.

ready-subject = Application { $reference }: your permit is ready
ready-body =
    Your permit is ready. It is handed over in person at the office named below.

    Bring the passport with which you applied.

duty-reminder-subject = Application { $reference }: something is due after the issue of your permit
duty-reminder-body = This is a reminder of what is owed after the issue of your permit:
duty-reminder-closing = Hand the document in and report it in your application. Whoever does not may lose the permit.
duty-overdue-subject = Application { $reference }: the last day of a duty has passed
duty-overdue-body = The last day has passed, and nothing was handed in:
duty-overdue-closing = Hand the document in at once and report it in your application. Nothing follows by itself: an officer decides, and he may propose to annul the permit.
duty-proof-rejected-subject = Application { $reference }: what you handed in does not do
duty-proof-rejected-body = An officer has looked at the document that you handed in after the issue of your permit, and it does not do. The reason and the last day are in your application. Hand in a better one and report it anew.

undone-subject = Application { $reference }: the decision was withdrawn
undone-body = The office has withdrawn its decision on your application and will decide anew. What you were told before does not count any more. The reason is in your application.
reopened-subject = Application { $reference }: opened again
reopened-body = Your application has been opened again. You need not hand it in anew. The reason is in your application.
court-ordered-subject = Application { $reference }: opened again by order of a court
court-ordered-body = A court has ordered that your application be decided anew. You need not hand it in again. The judgment is named in your application.
court-reinstated-subject = Application { $reference }: your permit is in force again
court-reinstated-body = A court has set the annulment of your permit aside. Your permit is in force again, under the number it had. The judgment is named in your application.
decided-anew-by = The office has to decide by { $due }. The time in which the application was closed is not counted.
corrected-subject = Application { $reference }: your data was corrected
corrected-body =
    What is recorded of you was put right. What was changed and why is in your application; the decision stays as it is.

    If it is still not right, write to the office named below.

permit-renewed-subject = Application { $reference }: your permit was printed anew
permit-renewed-body = Your permit was printed on a new paper. Its number stays the same; the paper before counts no more. Collect it at the office named below, with your passport.
request-refused-subject = Application { $reference }: your request was refused
request-refused-body = The office has refused what you asked about your permit. The permit stays as it was. The reason is in your application.
surrendered-subject = Application { $reference }: your permit has ended
surrendered-body = Your permit has ended, as you asked. You may not work under it any more.
permit-suspended-subject = Application { $reference }: your permit is suspended
permit-suspended-body = Your permit is suspended: you may not work under it until further notice. Its term and the period you have paid for run on. The reason is in your application.
permit-resumed-subject = Application { $reference }: your permit is in force again
permit-resumed-body = The suspension of your permit is over. You may work under it again, within its term and the period you have paid for.
complaint-upheld-subject = Application { $reference }: your complaint was upheld
complaint-upheld-body = Your complaint was found right. The decision does not count any more, and your application is decided anew. You need not hand it in again.
complaint-upheld-in-force-body = Your complaint was found right. The annulment does not count any more, and your permit is in force again, under the number it had.
complaint-upheld-late-body = Your complaint was found right. The term of your permit, or the period that was paid, has ended meanwhile, so it is not put back into force. You can apply for a new one.
complaint-rejected-subject = Application { $reference }: your complaint was rejected
complaint-rejected-body = Your complaint was found wrong: the decision stands. The reason is in your application. You may go to a court.

about = Application { $reference } ({ $track }), { $name }
status = Status at any time: { $link }
office = Office: { $unit }
automatic = This message was sent by a machine; answers to it are not read.

field-person = the worker's name, date of birth and citizenship
field-passport = the passport
field-entry = the entry into the country
field-occupation = the profession
field-employer = the employer
field-contract = the contract
field-contact = how to reach you
field-prepaid-months = the months paid in advance
